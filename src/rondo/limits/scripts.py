"""What Redis or Valkey runs for the ledger: each script is one step that nothing comes between.

Money is in whole nano-dollars and goes through as text, since Lua's own numbers would be written with an exponent.
Minutes are counted as in `window.py`, by the server's clock; hash fields are `r:SECOND` and `t:SECOND` for requests and
tokens, `r` and `t` for their sums, `o` for the oldest second there may be. In the sums of a day or a month, `s:SUBJECT`
has been spent and `h:SUBJECT` is held. `epoch` says which set of sums counts, and by which servers it is complete.
"""

from __future__ import annotations

_NOW = """
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000000 + tonumber(time[2])
"""

_RATE = """
local function fresh(key)
  local kept = redis.call('HMGET', key, 'o', 'r', 't')
  local oldest, gone = tonumber(kept[1]), second - 61
  if not oldest then return 0, 0 end
  if gone >= oldest + 60 or oldest > second + 1 then
    redis.call('DEL', key)
    return 0, 0
  end
  local requests, tokens = tonumber(kept[2] or 0), tonumber(kept[3] or 0)
  if oldest <= gone then
    for past = oldest, gone do
      local units = redis.call('HMGET', key, 'r:' .. past, 't:' .. past)
      requests = requests - tonumber(units[1] or 0)
      tokens = tokens - tonumber(units[2] or 0)
      redis.call('HDEL', key, 'r:' .. past, 't:' .. past)
    end
    redis.call('HSET', key, 'o', gone + 1, 'r', string.format('%.0f', requests), 't', string.format('%.0f', tokens))
  end
  return requests, tokens
end

local function busy(key, processes)
  local sum, counts = 0, redis.call('HGETALL', key)
  for place = 1, #counts, 2 do
    local until_ = tonumber(redis.call('ZSCORE', processes, counts[place]) or 0)
    if until_ >= now then
      sum = sum + tonumber(counts[place + 1])
    elseif until_ < now - 3600000000 then
      redis.call('HDEL', key, counts[place])
    end
  end
  return sum
end
"""

RESERVE = (
    _NOW
    + _RATE
    + """
-- KEYS: epoch, holds, day, month, processes; then a rate and a busy key for each limit by minute or at the same time.
-- ARGV: epoch, source, process, hold, began, nano, tokens, how many subjects, the subjects, how many budgets,
--   (key, subject, allowed) of each; (requests, tokens, concurrent) of each rated limit, or -1; deadline.
local epoch = redis.call('HMGET', KEYS[1], 'id', 'opens', 'done:' .. ARGV[2])
if epoch[1] ~= ARGV[1] or not epoch[3] then return {'epoch'} end
if now < tonumber(epoch[2]) then return {'opening'} end
if now > tonumber(ARGV[#ARGV]) then return {'late'} end
if math.abs(now - tonumber(ARGV[5])) > 60000000 then return {'clock', now} end

local nano, tokens, at = tonumber(ARGV[6]), tonumber(ARGV[7]), 9
local subjects = {}
for _ = 1, tonumber(ARGV[8]) do subjects[#subjects + 1] = ARGV[at]; at = at + 1 end
local budgets = tonumber(ARGV[at])
at = at + 1
for number = 0, budgets - 1 do
  local key, subject, allowed = KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2])
  local sums = redis.call('HMGET', key, 's:' .. subject, 'h:' .. subject)
  local left = allowed - tonumber(sums[1] or 0) - tonumber(sums[2] or 0)
  if nano > left then return {'budget', number, left, now} end
  at = at + 3
end
local rates = (#KEYS - 5) / 2
for number = 0, rates - 1 do
  local rate, place = KEYS[6 + 2 * number], at + 3 * number
  local requests, taken = fresh(rate)
  local most_requests, most_tokens = tonumber(ARGV[place]), tonumber(ARGV[place + 1])
  local concurrent = tonumber(ARGV[place + 2])
  if concurrent >= 0 and busy(KEYS[7 + 2 * number], KEYS[5]) >= concurrent then return {'concurrent', number, 1} end
  local what, field, left, limit, units
  if most_requests >= 0 and requests + 1 > most_requests then
    what, field, left, limit, units = 'requests', 'r:', requests, most_requests, 1
  elseif most_tokens >= 0 and taken + tokens > most_tokens then
    what, field, left, limit, units = 'tokens', 't:', taken, most_tokens, tokens
  end
  if what then
    for past = second - 60, second do
      left = left - tonumber(redis.call('HGET', rate, field .. past) or 0)
      if left + units <= limit then return {what, number, past + 61 - second} end
    end
    return {what, number, 61}
  end
end

redis.call('SADD', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[2], 86400)
if nano > 0 then
  for _, subject in ipairs(subjects) do
    redis.call('HINCRBY', KEYS[3], 'h:' .. subject, ARGV[6])
    redis.call('HINCRBY', KEYS[4], 'h:' .. subject, ARGV[6])
  end
  redis.call('EXPIRE', KEYS[3], 259200)
  redis.call('EXPIRE', KEYS[4], 3456000)
end
for number = 0, rates - 1 do
  local rate, place = KEYS[6 + 2 * number], KEYS[7 + 2 * number]
  redis.call('HSETNX', rate, 'o', second)
  redis.call('HINCRBY', rate, 'r:' .. second, 1)
  redis.call('HINCRBY', rate, 'r', 1)
  redis.call('HINCRBY', rate, 't:' .. second, ARGV[7])
  redis.call('HINCRBY', rate, 't', ARGV[7])
  redis.call('EXPIRE', rate, 150)
  redis.call('HINCRBY', place, ARGV[3], 1)
  redis.call('EXPIRE', place, 86400)
end
return {'ok', second}
"""
)

SETTLE = """
-- KEYS: epoch, holds, day, month; then a rate and a busy key for each rated limit.
-- ARGV: epoch, process, hold, second, tokens to add, nano to take back, nano spent, the subjects.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 'epoch' end
if redis.call('SREM', KEYS[2], ARGV[3]) == 0 then return 'gone' end
for place = 8, #ARGV do
  for key = 3, 4 do
    if ARGV[6] ~= '0' then
      local field = 'h:' .. ARGV[place]
      if redis.call('HINCRBY', KEYS[key], field, '-' .. ARGV[6]) == 0 then redis.call('HDEL', KEYS[key], field) end
    end
    if ARGV[7] ~= '0' then redis.call('HINCRBY', KEYS[key], 's:' .. ARGV[place], ARGV[7]) end
  end
end
if ARGV[7] ~= '0' then
  redis.call('EXPIRE', KEYS[3], 259200)
  redis.call('EXPIRE', KEYS[4], 3456000)
end
for number = 5, #KEYS, 2 do
  if ARGV[5] ~= '0' and redis.call('HEXISTS', KEYS[number], 't:' .. ARGV[4]) == 1 then
    redis.call('HINCRBY', KEYS[number], 't:' .. ARGV[4], ARGV[5])
    redis.call('HINCRBY', KEYS[number], 't', ARGV[5])
  end
  if redis.call('HINCRBY', KEYS[number + 1], ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[number + 1], ARGV[2]) end
end
return 'ok'
"""

ADOPT = """
-- A hold that was taken in an earlier epoch. KEYS: epoch, holds, day, month; then a busy key for each rated limit.
-- ARGV: epoch, process, hold, nano, the subjects.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 'epoch' end
if redis.call('SADD', KEYS[2], ARGV[3]) == 0 then return 'known' end
redis.call('EXPIRE', KEYS[2], 86400)
if ARGV[4] ~= '0' then
  for place = 5, #ARGV do
    redis.call('HINCRBY', KEYS[3], 'h:' .. ARGV[place], ARGV[4])
    redis.call('HINCRBY', KEYS[4], 'h:' .. ARGV[place], ARGV[4])
  end
  redis.call('EXPIRE', KEYS[3], 259200)
  redis.call('EXPIRE', KEYS[4], 3456000)
end
for number = 5, #KEYS do
  redis.call('HINCRBY', KEYS[number], ARGV[2], 1)
  redis.call('EXPIRE', KEYS[number], 86400)
end
return 'ok'
"""

ADD = """
-- Sums to add, once. KEYS: epoch, a hash that remembers what was added; then the sums of days and months.
-- ARGV: epoch, field, value, (key, subject, nano) of each. With the same value in the field, nothing is added.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 'epoch' end
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[3] then return 'known' end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for place = 4, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[tonumber(ARGV[place])], 's:' .. ARGV[place + 1], ARGV[place + 2])
end
for number = 3, #KEYS do redis.call('EXPIRE', KEYS[number], 3456000) end
if KEYS[2] ~= KEYS[1] then redis.call('EXPIRE', KEYS[2], 3456000) end
return 'ok'
"""

BEAT = (
    _NOW
    + """
-- A sign of life. KEYS: epoch, processes. ARGV: source, process, how long it is good for.
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 86400000000))
local epoch = redis.call('HMGET', KEYS[1], 'id', 'run', 'opens', 'done:' .. ARGV[1])
return {now, epoch[1] or '', epoch[2] or '', epoch[3] or '0', epoch[4] or ''}
"""
)

BEGIN = (
    _NOW
    + """
-- A new epoch in the place of another, unless someone else has begun one. KEYS: epoch. ARGV: old, new, run, grace.
if (redis.call('HGET', KEYS[1], 'id') or '') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'run', ARGV[3], 'opens', string.format('%.0f', now + tonumber(ARGV[4])))
return 1
"""
)

USED = (
    _NOW
    + _RATE
    + """
-- KEYS: day, month, processes; then a rate and a busy key for each subject. ARGV: the subjects.
local found = {}
for number, subject in ipairs(ARGV) do
  local requests, tokens = fresh(KEYS[2 + 2 * number])
  found[#found + 1] = requests
  found[#found + 1] = tokens
  found[#found + 1] = busy(KEYS[3 + 2 * number], KEYS[3])
  for key = 1, 2 do
    local sums = redis.call('HMGET', KEYS[key], 's:' .. subject, 'h:' .. subject)
    found[#found + 1] = tonumber(sums[1] or 0)
    found[#found + 1] = tonumber(sums[2] or 0)
  end
end
return found
"""
)
