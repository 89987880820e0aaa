-- What wrk sends: one chat completion request of LOAD_BYTES bytes, again and again. See load.py.
local question = "Hello, I placed an order last week and have not heard anything since. Could you tell me when it " ..
  "will arrive, and whether I can still change the delivery address? "
local system = "You are the support assistant of a small online shop. Answer briefly and politely."

local function body(text)
  return '{"model":"' .. os.getenv("LOAD_MODEL") .. '","messages":[{"role":"system","content":"' .. system ..
    '"},{"role":"user","content":"' .. text .. '"}],"temperature":0.2,"max_tokens":128}'
end

local room = tonumber(os.getenv("LOAD_BYTES")) - #body("")
wrk.method = "POST"
wrk.path = os.getenv("LOAD_PATH")
wrk.body = body(string.rep(question, math.ceil(room / #question)):sub(1, room))
wrk.headers["content-type"] = "application/json"
for name, value in os.getenv("LOAD_HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"rps":%.1f,"p50":%.3f,"p99":%.3f,"bad":%d}\n',
    summary.requests, summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
