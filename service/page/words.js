// Values, times and reasons as people read them; and `make`, which builds elements from text only (never from HTML).

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const near = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

export const number = (value) => numbers.format(value);

export function ago(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Math.abs(seconds) < 5) return "now";
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || ["second", 1];
  return near.format(Math.round(seconds / size), unit);
}

export function time(iso) {
  return make("time", { datetime: iso, title: exact.format(new Date(iso)), "data-ago": iso }, ago(iso));
}

export function refreshTimes(root) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const text = ago(element.dataset.ago, now);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function day(iso) { return exact.format(new Date(iso)); }

export function shown(value) {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(shown).join(", ") || "nothing";
  if (typeof value === "object") return JSON.stringify(value);
  return value;
}

const OPERATORS = {
  eq: "=", ne: "≠", gt: ">", gte: "≥", lt: "<", lte: "≤", in: "one of", not_in: "none of", in_last: "in the last", in_next: "in the next",
  anniversary_in_next: "anniversary in the next", starts_with: "starts with", ends_with: "ends with",
};

export function asked(tests) {
  return Object.entries(tests || {}).map(([operator, operand]) => {
    const inner = operand !== null && typeof operand === "object" && !Array.isArray(operand) ? asked(operand) : shown(operand);
    return `${OPERATORS[operator] || operator.replaceAll("_", " ")} ${inner}`;
  }).join(" and ");
}

// One reason of a transition: the condition in words where this version's words are known, what was found, whether it held.
export function reason(leaf, texts) {
  const text = texts?.[leaf.at] || `${leaf.at} ${asked(leaf.asked)}`;
  const told = typeof leaf.value === "boolean" || [leaf.value].flat().every((each) => typeof each === "string" && text.includes(`"${each}"`));
  const found = leaf.value === undefined || told ? null
    : make("span", { class: "value" }, `${leaf.approximate ? "about " : ""}${shown(leaf.value)}`);
  return make("li", { "data-holds": String(leaf.holds) },
    make("span", { class: "mark", "aria-hidden": "true" }, leaf.holds ? "✓" : "✗"),
    make("span", {}, make("span", { class: "unseen" }, leaf.holds ? "holds: " : "does not hold: "), text, found ? " · found " : "", found));
}

export const CAUSES = {
  event: "by an event", clock: "by the clock", definition: "the segment changed", backfill: "backfill", manual: "by hand", merge: "merge",
  correction: "correction", erasure: "erasure",
};
