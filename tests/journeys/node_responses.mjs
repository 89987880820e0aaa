// What an OpenAI Node SDK program does with Responses, one thing after the other; prints what it saw as JSON.
import OpenAI from "openai";

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 20000 });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", name: "weather", parameters, strict: true }];
const seen = {};

const answer = await client.responses.create({ model: "chat", input: "hello" });
seen.text = answer.output_text;

seen.streamed = "";
seen.types = [];
for await (const event of await client.responses.create({ model: "chat", input: "hello", stream: true })) {
  seen.types.push(event.type);
  if (event.type === "response.output_text.delta") seen.streamed += event.delta;
}

const stream = client.responses.stream({ model: "tools", input: "Weather?", tools });
const asked = await stream.finalResponse();
const call = asked.output[0];
seen.arguments = JSON.parse(call.arguments);
const told = await client.responses.create({
  model: "tools",
  previous_response_id: asked.id,
  input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
  tools,
});
seen.told = told.output_text;
seen.retrieved = (await client.responses.retrieve(told.id)).output_text;

const schema = { type: "object", properties: { city: { type: "string" }, degrees: { type: "integer" } } };
const format = { type: "json_schema", name: "weather", schema };
const parsed = await client.responses.parse({ model: "structured", input: "hello", text: { format } });
seen.structured = parsed.output_parsed;

seen.errors = {};
try {
  await client.responses.create({ model: "chat", input: "hello", previous_response_id: `resp_${"0".repeat(32)}` });
} catch (error) {
  seen.errors.previous = [error.constructor.name, error.code];
}
seen.cut = "";
try {
  for await (const event of await client.responses.create({ model: "cut", input: "hello", stream: true })) {
    if (event.type === "response.output_text.delta") seen.cut += event.delta;
  }
} catch (error) {
  seen.errors.cut = [error.constructor.name, /broke off/.test(error.message)];
}

seen.completion = (await client.completions.create({ model: "chat", prompt: "hello" })).choices[0].text;

console.log(JSON.stringify(seen));
