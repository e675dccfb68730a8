// Chromium with a page in it, and Converse.js read from what the page shows.

import process from "node:process";
import puppeteer from "puppeteer-core";

// Nothing but the page: no look-ups, updates or reports of the browser's own.
const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic", "--disable-sync", "--no-first-run",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];

// open opens a page. report is called whenever what Converse.js shows has changed, in the page itself or in a frame.
export async function open(address, { width, height, args = [], report }) {
  const browser = await puppeteer.launch({
    executablePath: "/usr/bin/chromium",
    args: [...quiet, ...args, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
    defaultViewport: { width, height },
  });
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error("page:", error.message));
  page.on("console", (message) => console.error(message.type(), message.text()));
  await page.exposeFunction("report", report);
  await page.evaluateOnNewDocument(watch);
  await page.goto(address);
  return page;
}

// watch runs in the page.
function watch() {
  const statuses = { "This contact is busy": "dnd", "This contact is online": "online", "This contact is offline": "offline" };
  let last;
  const text = (element, selector) => element.querySelector(selector)?.textContent.trim() ?? "";
  const contacts = () => {
    const byJID = new Map();
    for (const group of document.querySelectorAll(".roster-group")) {
      for (const item of group.querySelectorAll("converse-roster-contact")) {
        const jid = item.querySelector("a.open-chat")?.dataset.jid;
        if (!jid) continue; // not drawn yet
        const title = item.querySelector(".chat-status")?.title;
        const contact = byJID.get(jid) ?? { name: text(item, ".contact-name"), groups: [], status: statuses[title] ?? title };
        contact.groups.push(text(group, ".group-toggle"));
        byJID.set(jid, contact);
      }
    }
    return [...byJID.values()];
  };
  const messages = () =>
    [...document.querySelectorAll(".chat-msg")].map((m) => ({ name: text(m, ".chat-msg__author"), text: text(m, ".chat-msg__text") }));
  new MutationObserver(() => {
    const view = { contacts: contacts(), messages: messages() };
    if (JSON.stringify(view) === last) return;
    last = JSON.stringify(view);
    window.report(view, window.name);
  }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
}

// say opens a conversation, types, and sends.
export async function say(frame, to, text) {
  const contact = await frame.waitForSelector(`a.open-chat[data-jid="${to}"]`);
  await contact.evaluate((link) => link.click()); // the mouse does not find what is in a frame that is scaled
  const input = await frame.waitForSelector("textarea.chat-textarea");
  await input.type(text);
  await input.press("Enter");
}
