// A customer looked up: what is known, the memberships with since and until, and each one explained on demand.

import { get } from "./api.js";
import { asked, day, make, reason, shown, time } from "./words.js";

const GROUPS = { all: "all of", any: "any of", none: "none of", not: "not" };

export async function lookUp(customer, segments) {
  const id = encodeURIComponent(customer);
  const [profile, memberships] = await Promise.all([
    get(`/v1/customers/${id}`).catch((error) => { if (error.status === 404) return null; throw error; }),
    get(`/v1/customers/${id}/segments`),
  ]);
  if (!profile) {
    return [make("p", { class: "quiet" }, "Nothing was ever received about ", make("b", {}, customer), ".")];
  }
  const inside = new Map(memberships.segments.map((each) => [each.segment, each]));
  const outside = [...segments.keys()].filter((segment) => !inside.has(segment));
  return [
    make("h3", {}, customer, make("small", {}, ` as of ${day(memberships.as_of)}`)),
    facts(profile),
    make("h4", {}, inside.size ? `In ${inside.size} ${inside.size === 1 ? "segment" : "segments"}` : "In no segment"),
    make("ul", { class: "rows" }, [...inside.values()].map((each) => row(customer, each.segment, segments, each))),
    outside.length ? make("details", { class: "others", "data-segment": "" }, make("summary", {}, `Not in ${outside.length} others`),
      make("ul", { class: "rows" }, outside.slice(0, 200).map((segment) => row(customer, segment, segments, null)))) : null,
  ].filter(Boolean);
}

function facts(profile) {
  const attributes = Object.entries(profile.attributes);
  if (!attributes.length && !profile.tags.length) return null;
  return make("ul", { class: "facts" },
    profile.tags.map((tag) => make("li", { class: "tag" }, tag)),
    attributes.map(([name, value]) => make("li", {}, make("span", {}, `${name} `), shown(value))));
}

function row(customer, segment, segments, membership) {
  const box = make("div", { class: "tree" });
  const details = make("details", { "data-segment": segment },
    make("summary", {},
      make("b", {}, segments.get(segment)?.document.name || segment),
      membership ? make("span", { class: "when" }, "since ", time(membership.since), leaving(membership)) : null),
    box);
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    box.replaceChildren(make("p", { class: "quiet" }, "Judging…"));
    try {
      const path = `/v1/customers/${encodeURIComponent(customer)}/segments/${encodeURIComponent(segment)}?explain=true`;
      box.replaceChildren(...explained(await get(path)));
    } catch (error) {
      box.replaceChildren(make("p", { class: "wrong" }, error.message));
    }
  });
  return make("li", {}, details);
}

function leaving(membership) {
  if (membership.leaves_at === undefined) return null;
  if (membership.leaves_at === null) return " · stays unless something happens";
  return [" · leaves ", time(membership.leaves_at)];
}

export function explained(found) {
  const parts = [];
  if (found.override) {
    const until = found.override.until ? ` until ${day(found.override.until)}` : "";
    parts.push(make("p", {}, `Set by hand: ${found.override.action === "add" ? "a member" : "not a member"}${until}.`));
  }
  if (found.held_until) parts.push(make("p", {}, `A change is held until ${day(found.held_until)}.`));
  if (found.enters_at) parts.push(make("p", {}, "Enters ", time(found.enters_at), " if nothing happens."));
  for (const [name, tree] of Object.entries(found.explanation || {})) {
    if (!tree) continue;
    parts.push(make("p", { class: "branch" }, name === "enter" ? "To be in it:" : "To leave:"), make("ul", { class: "why" }, node(tree)));
  }
  if (!parts.length) parts.push(make("p", { class: "quiet" }, "Members of this segment are set by hand only."));
  return parts;
}

function node(tree) {
  if (!tree.of) {
    const leaf = reason(tree, { [tree.at]: tree.text || `${tree.at} ${asked(tree.asked)}` });
    if (tree.until) leaf.lastChild.append(make("span", { class: "until" }, " · stands until ", time(tree.until)));
    return leaf;
  }
  const head = tree.text || (tree.kind === "at_least" ? `at least ${tree.n} of` : GROUPS[tree.kind]);
  return make("li", { "data-holds": String(tree.holds) },
    make("span", { class: "mark", "aria-hidden": "true" }, tree.holds ? "✓" : "✗"),
    make("div", {}, make("span", { class: "unseen" }, tree.holds ? "holds: " : "does not hold: "),
      make("span", { class: "group" }, head), make("ul", { class: "why" }, tree.of.map(node))));
}
