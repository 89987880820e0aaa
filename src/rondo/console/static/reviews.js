/* Reviewing by keys: score, go on, send. The page works without it. */
"use strict";

{
  const form = document.querySelector("[data-review]");
  const criteria = form ? [...form.querySelectorAll("[data-criterion]")] : [];
  const fields = (criterion) => [...criterion.querySelectorAll("input")];
  const isScored = (criterion) => fields(criterion).some((field) => field.type === "number" ? field.value : field.checked);

  /* The criterion with the focus; else the first that has no score. */
  const current = () => {
    const at = criteria.findIndex((criterion) => criterion.contains(document.activeElement));
    return at >= 0 ? at : Math.max(criteria.findIndex((criterion) => !isScored(criterion)), 0);
  };

  const focus = (at) => {
    const criterion = criteria[Math.min(Math.max(at, 0), criteria.length - 1)];
    const chosen = fields(criterion).find((field) => field.checked) ?? fields(criterion)[0];
    chosen.focus();
    criterion.scrollIntoView({ block: "nearest" });
  };

  const choose = (value) => {
    const at = current();
    const field = fields(criteria[at]).find((each) => each.value === value && each.type !== "number");
    if (!field) return;
    field.checked = true;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    focus(at + 1);
  };

  /* 0 is the tenth score of a scale that begins at 1. */
  const score = (digit) => {
    const values = fields(criteria[current()]).map((field) => field.value);
    choose(values.includes(digit) ? digit : digit === "0" ? "10" : digit);
  };

  const follow = (rel) => document.querySelector(`.page-head a[rel="${rel}"]`)?.click();

  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("textarea, input:not([type=radio], [type=checkbox], [type=number])");
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (writing) {
      if (event.key === "Escape" && form?.contains(event.target)) { event.preventDefault(); focus(current()); }
      return;
    }
    if (Date.now() - going < 1000) return;  /* `g`, and a place to go to: console.js */
    if (event.key === "n") { follow("next"); return; }
    if (event.key === "p") { follow("prev"); return; }
    if (!form) return;
    const long = event.target.type === "number";
    if (event.key === "e" || event.key === "c") { event.preventDefault(); form.elements[event.key === "e" ? "expected" : "comment"].focus(); }
    else if (event.key === "j" || event.key === "ArrowDown") { event.preventDefault(); focus(current() + 1); }
    else if (event.key === "k" || event.key === "ArrowUp") { event.preventDefault(); focus(current() - 1); }
    else if (event.key === "x") { event.preventDefault(); choose("none"); }
    else if (/^[0-9]$/.test(event.key) && !long) { event.preventDefault(); score(event.key); }
    else if (event.key === "Enter" && !event.target.closest("a, button, summary")) { event.preventDefault(); form.requestSubmit(); }
  });

  /* A long scale takes a number or none: one undoes the other. */
  form?.addEventListener("input", (event) => {
    const criterion = event.target.closest("[data-criterion]");
    const box = criterion?.querySelector("[type=checkbox]");
    const number = criterion?.querySelector("[type=number]");
    if (!box || !number) return;
    if (event.target === number && number.value) box.checked = false;
    if (event.target === box && box.checked) number.value = "";
  });
}
