// Converse.js in Chromium: everything is read from and done to what the page shows.

import process from "node:process";
import puppeteer from "puppeteer-core";
import { fail, obey, settings, show } from "./view.js";

const { page: address, connection, trust, username, domain, password } = settings;

// Nothing but the page: no look-ups, updates or reports of the browser's own.
const quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"];

const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  args: [...quiet, `--ignore-certificate-errors-spki-list=${trust}`, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  defaultViewport: { width: 1100, height: 700 },
});
const page = await browser.newPage();
page.on("pageerror", (error) => console.error("page:", error.message));
page.on("console", (message) => console.error(message.type(), message.text()));
await page.exposeFunction("report", show);
await page.evaluateOnNewDocument(watch);
await page.goto(`${address}#${encodeURIComponent(JSON.stringify(connection))}`).catch(fail);
await login();
await obey({ say, picture, leave });

// watch runs in the page, and reports what is on it whenever that has changed.
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
    window.report(view);
  }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
}

async function login() {
  const form = "converse-login-form";
  await page.waitForSelector(`${form} input[name=password]`);
  await page.type(`${form} input[name=jid]`, `${username}@${domain}`);
  await page.type(`${form} input[name=password]`, password);
  await page.click(`${form} [type=submit]`);
}

async function say({ to, text }) {
  await page.click(`a.open-chat[data-jid="${to}"]`);
  await page.waitForSelector("textarea.chat-textarea");
  await page.type("textarea.chat-textarea", text);
  await page.keyboard.press("Enter");
}

async function picture({ path }) {
  await page.screenshot({ path });
}

async function leave() {
  await page.click(".show-profile");
  await (await page.waitForSelector("converse-profile-modal .btn-danger", { visible: true })).click();
  await (await page.waitForSelector("form.confirm [type=submit]", { visible: true })).click();
  await page.waitForSelector("converse-login-form");
  await browser.close();
}
