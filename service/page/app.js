// The page: segments with their sizes, transitions as they come, a customer looked up. Everything from this service.

import { dropToken, get, hasToken, keepToken } from "./api.js";
import { lookUp } from "./customer.js";
import { Feed } from "./feed.js";
import { CAUSES, make, number, reason, refreshTimes, time } from "./words.js";

const SHOWN_MAX = 150;
const FILTER_FROM = 9; // segments
const REFRESH_MS = 10_000;
const REFRESH_MANY_MS = 60_000; // beyond MANY segments
const MANY = 100;
const element = (id) => document.getElementById(id);
const segments = new Map(); // id -> as the API tells it
const cards = new Map(); // id -> { card, size, note }
let paused = false;
let heldBack = [];
let drawing = false;
let arrived = [];
let looked = null; // the customer shown
let refreshed = 0;

// -- segments -----------------------------------------------------------------------------------------------------------

async function refreshSegments() {
  refreshed = Date.now();
  const seen = new Set();
  try {
    for (let cursor = ""; cursor !== null;) {
      const page = await get(`/v1/segments?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      for (const segment of page.segments) {
        seen.add(segment.id);
        segments.set(segment.id, segment);
      }
      cursor = page.cursor;
    }
  } catch (error) {
    if (!refused(error)) note(error instanceof TypeError ? "The service does not answer." : error.message);
    return;
  }
  for (const id of segments.keys()) if (!seen.has(id)) segments.delete(id);
  note(segments.size ? "" : "There are no segments yet. Make one: ", segments.size ? "" : "segmentd segments apply segment.yaml");
  drawSegments();
}

function note(text, code = "") {
  element("segments-note").replaceChildren(text ? make("p", { class: "quiet" }, text, code ? make("code", {}, code) : "") : "");
  if (!segments.size) element("segments").replaceChildren();
}

function drawSegments() {
  const list = element("segments");
  const wanted = element("filter").value.trim().toLowerCase();
  for (const ghost of list.querySelectorAll(".ghost")) ghost.remove();
  for (const [id, each] of cards) {
    if (segments.has(id)) continue;
    each.card.remove();
    cards.delete(id);
  }
  let before = null;
  for (const id of [...segments.keys()].sort()) {
    const segment = segments.get(id);
    let known = cards.get(id);
    if (!known || known.version !== segment.version) {
      const fresh = card(segment);
      if (known) known.card.replaceWith(fresh.card);
      else list.insertBefore(fresh.card, before ? before.nextSibling : list.firstChild);
      cards.set(id, known = fresh);
    }
    before = known.card;
    update(known, segment);
    known.card.hidden = wanted !== "" && !`${id} ${segment.document.name || ""} ${segment.words.sentence}`.toLowerCase().includes(wanted);
  }
  element("filter-label").hidden = segments.size < FILTER_FROM;
  totals();
}

function card(segment) {
  const size = make("span", { class: "size" });
  const status = make("div", { class: "status" });
  const depth = (part) => `d${Math.min(part.depth, 6)}`;
  const lines = segment.words.parts.map((part) => make("li", { class: `${depth(part)} ${part.kind}` },
    part.section === "exit" && part.depth === 0 ? make("i", {}, "leaves when ") : null, part.text));
  const body = make("li", { class: "card" },
    make("div", { class: "title" }, make("h3", {}, segment.document.name || segment.id), size),
    make("p", { class: "sentence" }, segment.words.sentence),
    status,
    make("details", {}, make("summary", {}, "Details"),
      segment.document.about ? make("p", {}, segment.document.about) : null,
      make("ul", { class: "lines" }, lines),
      make("p", { class: "quiet" }, make("code", {}, segment.id), ` · version ${segment.version}`)));
  return { card: body, size, status, version: segment.version, shown: null, state: "" };
}

function update(known, segment) {
  if (known.shown !== segment.size) {
    known.size.replaceChildren(number(segment.size), make("small", {}, segment.size === 1 ? " member" : " members"));
    if (known.shown !== null) {
      known.size.dataset.moved = segment.size > known.shown ? "up" : "down";
      clearTimeout(known.calm);
      known.calm = setTimeout(() => delete known.size.dataset.moved, 1500);
    }
    known.shown = segment.size;
  }
  const { judged, total } = segment.activation;
  const state = `${segment.state} ${judged} ${total} ${segment.history_from}`;
  if (known.state === state) return;
  known.state = state;
  known.status.replaceChildren();
  if (segment.state === "activating") {
    known.status.append(make("label", { class: "progress" }, `Judging everybody: ${number(judged)} of ${number(total)}`,
      make("progress", { max: Math.max(total, 1), value: judged })));
  } else if (segment.state === "paused") known.status.append(make("span", { class: "chip" }, "paused"));
  if (segment.history_from) known.status.append(make("span", { class: "chip" }, "counts events since ", time(segment.history_from)));
}

function totals() {
  const count = segments.size;
  element("totals").textContent = count ? `${number(count)} ${count === 1 ? "segment" : "segments"}` : "";
}

// -- transitions --------------------------------------------------------------------------------------------------------

function onEvent(type, event) {
  const segment = segments.get(event.data.segment);
  if (segment) segment.size = Math.max(0, segment.size + (type === "segment.entered" ? 1 : -1));
  else refreshSoon();
  if (event.data.customer_id === looked && !paused) lookAgainSoon();
  (paused ? heldBack : arrived).push({ type, event });
  if (heldBack.length > SHOWN_MAX) heldBack = heldBack.slice(-SHOWN_MAX);
  if (paused) element("held").textContent = `${heldBack.length}${heldBack.length === SHOWN_MAX ? "+" : ""} new`;
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const list = element("feed");
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  for (const each of arrived.slice(-SHOWN_MAX)) list.prepend(item(each));
  arrived = [];
  while (list.children.length > SHOWN_MAX && !(focused && list.lastChild.contains(focused))) list.lastChild.remove();
  element("feed-empty").hidden = list.children.length > 0;
  for (const [id, known] of cards) if (segments.has(id)) update(known, segments.get(id));
}

function item({ type, event }) {
  const { segment, customer_id: customer, segment_version: version, cause, why, leaves_at: leaves } = event.data;
  const known = segments.get(segment);
  const texts = known?.version === version ? known.words.texts : null;
  const entered = type === "segment.entered";
  return make("li", { class: entered ? "entered" : "exited" },
    make("p", { class: "what" },
      make("span", { class: "sign", "aria-hidden": "true" }, entered ? "→" : "←"),
      make("span", {},
        make("button", { type: "button", class: "who", title: "Look this customer up", onclick: () => show(customer) }, customer),
        ` ${entered ? "entered" : "left"} `, make("b", {}, known?.document.name || segment)),
      time(event.time)),
    why.length ? make("ul", { class: "why" }, why.slice(0, 6).map((leaf) => reason(leaf, texts))) : null,
    make("p", { class: "after" }, CAUSES[cause] || cause,
      entered && leaves ? [" · leaves ", time(leaves), " if nothing happens"] : null));
}

function togglePause() {
  paused = !paused;
  const button = element("pause");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Continue" : "Pause";
  element("held").textContent = "";
  said(paused ? "Live transitions paused" : "Live transitions continue");
  if (paused) return;
  arrived.push(...heldBack);
  heldBack = [];
  draw();
}

// -- a customer ---------------------------------------------------------------------------------------------------------

function show(customer) {
  const hash = `#customer=${encodeURIComponent(customer)}`;
  if (location.hash === hash) find();
  else location.hash = hash;
}

function wanted() {
  const match = /^#customer=(.+)$/.exec(location.hash);
  try {
    return match && decodeURIComponent(match[1]);
  } catch {
    return null; // a broken address
  }
}

async function find() {
  const customer = wanted();
  if (!customer) return;
  element("customer").value = customer;
  const found = element("found");
  found.setAttribute("aria-busy", "true");
  try {
    found.replaceChildren(...await lookUp(customer, segments));
    looked = customer;
    said(`Found ${customer}`);
  } catch (error) {
    if (refused(error)) return;
    found.replaceChildren(make("p", { class: "wrong" }, error instanceof TypeError ? "The service does not answer. Try again in a moment." : error.message));
  } finally {
    found.removeAttribute("aria-busy");
  }
  found.focus({ preventScroll: true });
  element("customer-title").scrollIntoView({ block: "nearest" });
}

let again = null;
function lookAgainSoon() {
  again ??= setTimeout(async () => {
    again = null;
    const found = element("found");
    if (found.contains(document.activeElement) && document.activeElement !== found) return; // somebody reads there by keyboard
    const open = [...found.querySelectorAll("details[open]")].map((each) => each.dataset.segment);
    try {
      const fresh = await lookUp(looked, segments);
      found.replaceChildren(...fresh);
      for (const each of found.querySelectorAll("details")) each.open = open.includes(each.dataset.segment);
    } catch { /* the next change tries again */ }
  }, 600);
}

// -- the whole ----------------------------------------------------------------------------------------------------------

function said(text) { element("said").textContent = text; }

function refused(error) {
  if (error.status !== 401 && error.status !== 403) return false;
  element("gate").hidden = false;
  element("main").hidden = true;
  const unknown = hasToken() ? "This token is not known here. " : "";
  const text = "This service asks for a token with the scope “read”. It is kept in this tab only.";
  element("gate-text").textContent = error.status === 403 ? error.message : unknown + text;
  state("waiting", "A token is needed");
  dropToken();
  element("gate-token").focus();
  return true;
}

function state(name, text) {
  const link = element("link");
  if (link.dataset.state === name && element("link-text").textContent === text) return;
  link.dataset.state = name;
  element("link-text").textContent = text;
}

let soon = null;
function refreshSoon() {
  soon ??= setTimeout(() => { soon = null; refreshSegments(); }, 500);
}

const feed = new Feed({
  onEvent,
  onState: (name, text) => { state(name, text); if (name === "live") refreshSoon(); },
  onRefused: refused,
});

async function begin() {
  element("gate").hidden = true;
  element("main").hidden = false;
  await refreshSegments();
  if (!element("gate").hidden) return;
  feed.start();
  find();
}

element("pause").addEventListener("click", togglePause);
element("filter").addEventListener("input", drawSegments);
element("lookup").addEventListener("submit", (event) => { event.preventDefault(); show(element("customer").value.trim()); });
element("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(element("gate-token").value.trim());
  element("gate-token").value = "";
  begin();
});
addEventListener("hashchange", find);
setInterval(() => { if (!document.hidden) refreshTimes(document); }, 5000);
setInterval(() => {
  if (document.hidden || element("main").hidden) return;
  if (Date.now() - refreshed >= (segments.size > MANY ? REFRESH_MANY_MS : REFRESH_MS)) refreshSegments();
}, REFRESH_MS / 2);
begin();
