// @xmpp/client over TCP with STARTTLS, over direct TLS, or over WebSocket: the address says which.

import { client, xml } from "@xmpp/client";
import WebSocket from "ws";
import { Screen, fail, obey, settings } from "./view.js";

globalThis.WebSocket ??= WebSocket; // Node.js has one of its own since version 22

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
  if (stanza.is("presence")) screen.presence(from, type, stanza.getChildText("show"));
  if (stanza.is("message") && stanza.getChild("body")) screen.message(from, stanza.getChildText("body"));
});
xmpp.on("online", async () => {
  screen.items(items(await xmpp.iqCaller.get(xml("query", "jabber:iq:roster"))));
  await xmpp.send(xml("presence"));
});

await xmpp.start();
await obey({
  say: ({ to, text }) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, text))),
  leave: () => xmpp.stop(),
});
