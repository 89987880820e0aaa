// What an OpenAI Node SDK program does, one thing after the other; prints what it saw as JSON.
import OpenAI from "openai";

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 20000 });
const messages = [{ role: "user", content: "hello" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const seen = {};

const chat = await client.chat.completions.create({ model: "chat", messages });
seen.chat = chat.choices[0].message.content;

const { data, response } = await client.chat.completions.create({ model: "bot", messages }).withResponse();
seen.app = data.choices[0].message.content;
seen.release = response.headers.get("x-rondo-release");

seen.stream = "";
for await (const event of await client.chat.completions.create({ model: "chat", messages, stream: true })) {
  seen.stream += event.choices[0]?.delta?.content ?? "";
}

const asked = await client.chat.completions.create({ model: "tools", messages, tools });
seen.tool = JSON.parse(asked.choices[0].message.tool_calls[0].function.arguments);

const runner = client.chat.completions.stream({ model: "tools", messages, tools });
seen.streamedTool = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0].function.arguments;

const schema = { type: "object", properties: { city: { type: "string" }, degrees: { type: "integer" } } };
const response_format = { type: "json_schema", json_schema: { name: "weather", schema } };
const parsed = await client.chat.completions.parse({ model: "structured", messages, response_format });
seen.structured = JSON.parse(parsed.choices[0].message.content);

seen.embedding = (await client.embeddings.create({ model: "embed", input: "four" })).data[0].embedding;

seen.models = (await client.models.list()).data.map((model) => model.id);

seen.errors = {};
for (const model of ["nobody", "strict", "busy", "down"]) {
  try {
    await client.chat.completions.create({ model, messages });
  } catch (error) {
    seen.errors[model] = [error.constructor.name, error.status];
  }
}
try {
  await new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list();
} catch (error) {
  seen.errors.key = [error.constructor.name, error.status];
}
seen.cut = "";
try {
  for await (const event of await client.chat.completions.create({ model: "cut", messages, stream: true })) {
    seen.cut += event.choices[0]?.delta?.content ?? "";
  }
} catch (error) {
  seen.errors.cut = [error.constructor.name, /broke off/.test(error.message)];
}

console.log(JSON.stringify(seen));
