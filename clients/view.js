// What a client shows, a line of JSON each time it changes; and what its user does, a line of JSON each.

import process from "node:process";
import readline from "node:readline";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node.js 18 has it under this name only

// Standard output is for what the user sees: what libraries have to say goes to standard error.
console.debug = console.info = console.log = console.error;

const input = readline.createInterface({ input: process.stdin });
input.on("close", () => process.exit()); // also in the middle of something: whoever watches has gone
const lines = input[Symbol.asyncIterator]();

// settings are the first line: who logs in, and where.
export const settings = JSON.parse((await lines.next()).value);

// show prints what the user sees now.
export function show(view) {
  process.stdout.write(JSON.stringify(view) + "\n");
}

// fail ends the program with what went wrong.
export function fail(error) {
  console.error(error);
  process.exit(1);
}

// obey does what the user does, by name, until there is no more to do.
export async function obey(actions) {
  for await (const line of lines) {
    const { action, ...args } = JSON.parse(line);
    await actions[action](args);
    show({ done: action });
  }
}

// Screen keeps the contacts and messages of a library that has no eyes of its own.
export class Screen {
  contacts = new Map(); // by bare JID
  online = new Map(); // by bare JID, what each resource shows
  messages = [];

  // items come in a roster result or push (RFC 6121 §2.1).
  items(list) {
    for (const { jid, name, subscription, groups } of list) {
      if (subscription === "remove") this.contacts.delete(jid);
      else this.contacts.set(jid, { name, groups });
    }
    this.show();
  }

  presence(from, type, show) {
    const [bare, resource] = split(from);
    if (type && type !== "unavailable") return;
    if (!this.online.has(bare)) this.online.set(bare, new Map());
    if (type) this.online.get(bare).delete(resource);
    else this.online.get(bare).set(resource, show || "online");
    this.show();
  }

  message(from, text) {
    const [bare] = split(from);
    this.messages.push({ name: this.contacts.get(bare)?.name ?? bare, text });
    this.show();
  }

  show() {
    const contacts = [...this.contacts].map(([jid, { name, groups }]) => {
      const [status = "offline"] = this.online.get(jid)?.values() ?? [];
      return { name, groups, status };
    });
    show({ contacts, messages: this.messages });
  }
}

function split(jid) {
  const at = jid.indexOf("/");
  return at < 0 ? [jid, ""] : [jid.slice(0, at), jid.slice(at + 1)];
}
