// What Anthropic's TypeScript SDK sees of a server: run with the server's address and key, prints JSON.
import Anthropic from "@anthropic-ai/sdk";

const [url, apiKey] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "hello" }];
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "weather", description: "The weather now.", input_schema }];
const asked = { max_tokens: 100, messages };
const seen = { message: {}, stream: {}, calls: {}, streamedCalls: {}, results: {}, errors: {}, structured: {} };

for (const who of ["claude", "gpt"]) {
  const answer = await client.messages.create({ ...asked, model: `${who}-chat`, system: "Be kind." });
  seen.message[who] = [answer.content[0].text, answer.stop_reason, answer.id.startsWith("msg_")];

  const stream = client.messages.stream({ ...asked, model: `${who}-chat` });
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const last = await stream.finalMessage();
  seen.stream[who] = [text, last.stop_reason, last.usage.input_tokens > 0, last.usage.output_tokens > 0];

  const model = who === "claude" ? "claude-tools" : "gpt-parallel";
  const called = await client.messages.create({ ...asked, model, tools });
  const uses = called.content.filter((block) => block.type === "tool_use");
  seen.calls[who] = uses.map((use) => [use.id, use.name, use.input]);
  const streamed = await client.messages.stream({ ...asked, model, tools }).finalMessage();
  seen.streamedCalls[who] = streamed.content.map((use) => [use.id, use.name, use.input]);
  const content = uses.map((use) => ({ type: "tool_result", tool_use_id: use.id, content: `${use.input.city} 7` }));
  const turns = [...messages, { role: "assistant", content: called.content }, { role: "user", content }];
  seen.results[who] = (await client.messages.create({ ...asked, model, tools, messages: turns })).content[0].text;

  const format = { type: "json_schema", schema: { type: "object", properties: { city: { type: "string" } } } };
  const shaped = await client.messages.create({ ...asked, model: `${who}-structured`, output_config: { format } });
  seen.structured[who] = JSON.parse(shaped.content[0].text);

  for (const name of ["busy", "strict", "down", "nobody"]) {
    try {
      await client.messages.create({ ...asked, model: `${who}-${name}` });
    } catch (error) {
      seen.errors[`${who}-${name}`] = [error.constructor.name, error.status, error.error?.error?.type];
    }
  }
}

const thinking = { ...asked, model: "claude-thinking-5", thinking: { type: "adaptive" } };
seen.thinking = (await client.messages.stream(thinking).finalMessage()).content;
const more = [...messages, { role: "assistant", content: seen.thinking }, ...messages];
seen.thoughtAgain = (await client.messages.create({ ...thinking, messages: more })).content.at(-1).text;

const { data, response } = await client.messages
  .create({ ...asked, model: "bot", inputs: { plan: "Gold" }, session: "s" })
  .withResponse();
seen.app = [data.content[0].text, response.headers.get("x-rondo-release")];

try {
  await new Anthropic({ baseURL: url, apiKey: "wrong", maxRetries: 0 }).messages.create({ ...asked, model: "bot" });
} catch (error) {
  seen.errors.key = [error.constructor.name, error.status, error.error?.error?.type];
}
seen.cut = "";
try {
  for await (const event of await client.messages.create({ ...asked, model: "gpt-cut", stream: true })) {
    seen.cut += event.delta?.text ?? "";
  }
} catch (error) {
  seen.errors.cut = /broke off/.test(error.message);
}

seen.models = [];
for await (const model of client.models.list()) seen.models.push(model.id);

console.log(JSON.stringify(seen));
