// strophe.js over WebSocket or BOSH: the address says which.

import { $iq, $msg, $pres, Strophe } from "strophe.js";
import { Screen, fail, obey, settings } from "./view.js";

const { service, domain, username, password } = settings;

// Strophe's BOSH wants a browser's XMLHttpRequest. This is what it uses of one.
globalThis.XMLHttpRequest = class {
  readyState = 0;
  #headers = {};
  #stop = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url });
    this.#move(1);
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  send(body) {
    this.#fetch(body).catch(() => (this.status = 0)).then(() => this.#move(4));
  }

  async #fetch(body) {
    const { url, method } = this;
    this.response = await fetch(url, { method, body, headers: this.#headers, signal: this.#stop.signal });
    this.responseText = await this.response.text();
    this.responseXML = new DOMParser().parseFromString(this.responseText, "text/xml");
    this.status = this.response.status;
  }

  #move(state) {
    this.readyState = state;
    this.onreadystatechange();
  }

  getAllResponseHeaders() {
    return [...(this.response?.headers ?? [])].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  abort() {
    this.#stop.abort();
  }
};

const screen = new Screen();
const connection = new Strophe.Connection(service);
let loggedOut;

const children = (element, name) => Array.from(element.childNodes).filter((child) => child.nodeName === name);
const text = (element, name) => children(element, name)[0]?.textContent;

function items(iq) {
  return children(children(iq, "query")[0], "item").map((item) => ({
    jid: item.getAttribute("jid"),
    name: item.getAttribute("name"),
    subscription: item.getAttribute("subscription"),
    groups: children(item, "group").map((group) => group.textContent),
  }));
}

// handle has stanzas of a name handled again and again.
function handle(name, handler, namespace = null, type = null) {
  connection.addHandler((stanza) => {
    handler(stanza, stanza.getAttribute("from"));
    return true;
  }, namespace, name, type);
}

handle("iq", (iq) => {
  screen.items(items(iq));
  connection.send($iq({ type: "result", id: iq.getAttribute("id") }));
}, "jabber:iq:roster", "set");
handle("presence", (presence, from) => screen.presence(from, presence.getAttribute("type"), text(presence, "show")));
handle("message", (message, from) => {
  if (text(message, "body")) screen.message(from, text(message, "body"));
});

connection.connect(`${username}@${domain}`, password, (status, condition) => {
  switch (status) {
    case Strophe.Status.CONNECTED:
      connection.sendIQ($iq({ type: "get" }).c("query", { xmlns: "jabber:iq:roster" }), (result) => {
        screen.items(items(result));
        connection.send($pres());
      }, fail);
      break;
    case Strophe.Status.AUTHFAIL:
    case Strophe.Status.CONNFAIL:
    case Strophe.Status.ERROR:
      fail(new Error(`Strophe's status ${status}: ${condition}`));
      break;
    case Strophe.Status.DISCONNECTED:
      if (!loggedOut) fail(new Error("disconnected"));
      loggedOut();
  }
});

await obey({
  say: ({ to, text }) => connection.send($msg({ to, type: "chat" }).c("body").t(text)),
  leave: () =>
    new Promise((resolve) => {
      loggedOut = resolve;
      connection.disconnect();
    }),
});
