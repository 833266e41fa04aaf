// The live feed: server-sent events read by fetch (so that a token can be sent), resumed where it broke off.

import { headers, refusal, Refused } from "./api.js";

const SILENCE_MS = 45_000; // the service says something every 15 s
const BACKOFF_MS = [500, 1000, 2000, 5000, 10_000];

export class Feed {
  // onEvent(type, data), onState("live" | "waiting", message), onRefused(error)
  constructor(handlers) {
    this.handlers = handlers;
    this.position = null;
    this.tries = 0;
    this.running = false;
  }

  async start() {
    if (this.running) return;
    this.running = true;
    while (this.running) {
      try {
        await this.connect();
      } catch (error) {
        if (error instanceof Refused && [401, 403].includes(error.status)) {
          this.running = false;
          this.handlers.onRefused(error);
          return;
        }
        if (error instanceof Refused && [400, 410].includes(error.status)) this.position = null;
      }
      const wait = BACKOFF_MS[Math.min(this.tries++, BACKOFF_MS.length - 1)];
      this.handlers.onState("waiting", "Reconnecting…");
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  async connect() {
    const control = new AbortController();
    let watch = setTimeout(() => control.abort(), SILENCE_MS);
    try {
      const from = this.position ? { "Last-Event-ID": this.position } : {};
      const answer = await fetch("/v1/transitions", { headers: headers(from), cache: "no-store", signal: control.signal });
      if (!answer.ok) throw await refusal(answer);
      this.handlers.onState("live", "Live");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.tries = 0;
        clearTimeout(watch);
        watch = setTimeout(() => control.abort(), SILENCE_MS);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) this.take(block);
      }
    } finally {
      clearTimeout(watch);
      control.abort();
    }
  }

  take(block) {
    let type = "message", data = "";
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      const field = line.slice(0, at), value = line.slice(at + 2);
      if (field === "id") this.position = value;
      else if (field === "event") type = value;
      else if (field === "data") data += value;
    }
    if (type === "position-lost") this.position = null;
    else if (data) this.handlers.onEvent(type, JSON.parse(data));
  }
}
