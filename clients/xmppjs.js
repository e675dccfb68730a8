// @xmpp/client over TCP with STARTTLS, over direct TLS, or over WebSocket: the address says which.

import { client, xml } from "@xmpp/client";
import WebSocket from "ws";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { Screen, fail, obey, settings } from "./view.js";

globalThis.WebSocket = WebSocket; // that of Node.js itself, since version 22, cannot be cut

const { service, domain, username, password } = settings;
const screen = new Screen();
const xmpp = client({ service, domain, username, password, userAgent: null });

function items(query) {
  return query.getChildren("item").map((item) => ({
    ...item.attrs,
    groups: item.getChildren("group").map((group) => group.text()),
  }));
}

xmpp.reconnect.stop();
xmpp.on("error", fail);
xmpp.iqCallee.set("jabber:iq:roster", "query", ({ element }) => {
  screen.items(items(element));
  return true; // an empty result
});
xmpp.on("stanza", (stanza) => {
  const { from, type } = stanza.attrs;
  if (stanza.is("iq") && (type === "result" || type === "error")) xmpp.streamManagement.inbound++; // its 0.14.0 counts no answers
  if (stanza.is("presence")) screen.presence(from, type, stanza.getChildText("show"));
  if (stanza.is("message") && stanza.getChild("body")) screen.message(from, stanza.getChildText("body"));
});
xmpp.on("online", async () => {
  // Nothing is asked for before: @xmpp/client begins to count somewhat after <enabled/> (XEP-0198 §4).
  while (!xmpp.streamManagement.enabled) await setImmediate();
  screen.items(items(await xmpp.iqCaller.get(xml("query", "jabber:iq:roster"))));
  await xmpp.send(xml("presence"));
});

await xmpp.start();
await obey({
  say: ({ to, text }) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, text))),
  // cut ends the connection and not the stream; the session is resumed over another address.
  cut: async () => {
    const { socket } = xmpp.socket;
    const gone = once(xmpp, "disconnect");
    if (socket.terminate) socket.terminate();
    else (socket.socket ?? socket).destroy();
    await gone;
  },
  resume: async ({ service }) => {
    xmpp.options.service = service;
    const resumed = once(xmpp.streamManagement, "resumed");
    await xmpp.reconnect.reconnect();
    await resumed;
  },
  leave: () => xmpp.stop(),
});
