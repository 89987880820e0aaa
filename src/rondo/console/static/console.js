/* What pages cannot do by themselves: keys, the theme without a reload, answers as they are written, copying.
   Every page works without it. */
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);

/* Light and dark: the form would do it, with a reload. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-form]")) return;
  event.preventDefault();
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  root.dataset.theme = theme;
  document.cookie = `rondo_theme=${theme}; path=/; max-age=31536000; samesite=strict`;
});

/* Keys. */
const PLACES = { o: "/", c: "/calls", v: "/reviews", b: "/batches", r: "/releases", p: "/prompts", k: "/knowledge", t: "/playground", a: "/audit" };
let going = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "g") { going = Date.now(); return; }
  if (Date.now() - going < 1000 && PLACES[event.key]) { location.assign(PLACES[event.key]); return; }
  if (event.key === "/" && $("[data-search]")) { event.preventDefault(); $("[data-search]").focus(); }
  if (event.key === "?" && $("#shortcuts")) $("#shortcuts").showModal();
  if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
});

function step(by) {
  const rows = [...document.querySelectorAll("tr[data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  $("a", next)?.focus();
}

/* Copying. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy-from]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copyFrom);
  field.select();
  navigator.clipboard?.writeText(field.value).then(() => { button.textContent = "Copied"; });
});

/* The playground: the answer as it is written, then the whole panel. */
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-playground]")) return;
  event.preventDefault();
  const place = $("#answer");
  const button = $("button", form);
  const streamed = form.elements.stream.checked;
  button.disabled = true;
  place.replaceChildren(Object.assign(document.createElement("p"), { className: "muted", textContent: "Asking …" }));
  try {
    const response = await fetch(streamed ? "/playground/stream" : "/playground", {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "HX-Request": "true" },
    });
    const type = response.headers.get("content-type") || "";
    if (response.redirected) location.assign("/login");
    else if (type.startsWith("text/event-stream")) await read(response.body, place);
    else show(place, await response.text());
  } catch (error) {
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "notice bad", textContent: `The server cannot be reached: ${error.message}` }));
  } finally {
    button.disabled = false;
  }
});

async function read(body, place) {
  const text = Object.assign(document.createElement("p"), { className: "said answer writing" });
  place.replaceChildren(text);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) take(event, text, place);
  }
}

function take(event, text, place) {
  const name = /^event: (.*)$/m.exec(event)?.[1];
  const data = /^data: (.*)$/m.exec(event)?.[1];
  if (!data || data === "[DONE]") return;
  const message = JSON.parse(data);
  if (name === "done") show(place, message.html);
  else if (message.error) {
    place.append(Object.assign(document.createElement("p"), { className: "notice bad", textContent: message.error.message }));
  } else text.textContent += message.choices?.[0]?.delta?.content ?? "";
}

function show(place, html) {
  place.innerHTML = html;
  window.htmx?.process(place);
}
