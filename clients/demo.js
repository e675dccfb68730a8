// The page of rosterd demo: alice and bob in a frame each, a form, and what happens.

import { open, say } from "./chromium.js";
import { obey, settings, show } from "./view.js";

const shown = {}; // by frame; "" is the page

const page = await open(settings.page, { width: 1500, height: 1000, report });
await page.exposeFunction("happened", (lines) => report({ contacts: [], messages: lines }, ""));
await page.evaluate(() => {
  const log = document.getElementById("log");
  const lines = () => [...log.children].map((line) => ({ name: line.className, text: line.textContent.slice("15:04:05  demo      ".length) }));
  new MutationObserver(() => window.happened(lines())).observe(log, { childList: true });
});

// report shows everything as one: groups by whose they are.
function report(view, frame) {
  shown[frame] = view;
  const contacts = Object.entries(shown).flatMap(([who, { contacts }]) =>
    contacts.map((c) => ({ ...c, groups: c.groups.map((group) => `${who}'s ${group}`) })));
  show({ contacts, messages: Object.values(shown).flatMap(({ messages }) => messages) });
}

const frame = async (name) => (await page.waitForSelector(`iframe[name=${name}]`)).contentFrame();
const replace = async (input, text) => {
  await input.click({ count: 3 });
  await input.type(text);
};

// row is the line of a contact in the form, or the empty one.
async function row(user, jid) {
  await page.select("#user", user);
  return page.waitForSelector(`#contacts[aria-busy=false] ${jid ? `tr[data-jid="${jid}"]` : "tr:not([data-jid])"}`);
}

// press clicks a button, and waits for what the web application says.
async function press(line, button) {
  await (await line.$(`[name=${button}]`)).click();
  await page.waitForSelector("#contacts[aria-busy=false]");
}

await obey({
  say: async ({ from, to, text }) => say(await frame(from), to, text),
  fill: async ({ user, jid, add, fields }) => {
    const line = await row(user, add ? "" : jid);
    for (const [name, text] of Object.entries(fields)) await replace(await line.$(`[name=${name}]`), text);
    await press(line, "save");
  },
  remove: async ({ user, jid }) => press(await row(user, jid), "remove"),
  picture: ({ path }) => page.screenshot({ path }),
  leave: () => page.browser().close(),
});
