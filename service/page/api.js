// Calls to the service this page came from. A token, where one is needed, stays in this tab (sessionStorage).

const KEY = "segmentd-token";

export class Refused extends Error {
  // A problem the service answered with (RFC 9457).
  constructor(status, problem) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.status = status;
  }
}

export function keepToken(token) { sessionStorage.setItem(KEY, token); }
export function hasToken() { return sessionStorage.getItem(KEY) !== null; }
export function dropToken() { sessionStorage.removeItem(KEY); }

export function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

export async function refusal(answer) {
  let problem = {};
  try { problem = await answer.json(); } catch { /* not a problem: its status says enough */ }
  return new Refused(answer.status, problem);
}

export async function get(path) {
  const answer = await fetch(path, { headers: headers({ Accept: "application/json" }), cache: "no-store" });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}
