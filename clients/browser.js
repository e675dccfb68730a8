// Converse.js in a page of its own.

import { open, say } from "./chromium.js";
import { obey, settings, show } from "./view.js";

const { page: address, connection, trust, username, domain, password } = settings;

const page = await open(`${address}#${encodeURIComponent(JSON.stringify(connection))}`, {
  width: 1100,
  height: 700,
  args: [`--ignore-certificate-errors-spki-list=${trust}`],
  report: show,
});

const form = "converse-login-form";
await page.waitForSelector(`${form} input[name=password]`);
await page.type(`${form} input[name=jid]`, `${username}@${domain}`);
await page.type(`${form} input[name=password]`, password);
await page.click(`${form} [type=submit]`);

await obey({
  say: ({ to, text }) => say(page, to, text),
  picture: ({ path }) => page.screenshot({ path }),
  leave: async () => {
    await page.click(".show-profile");
    await (await page.waitForSelector("converse-profile-modal .btn-danger", { visible: true })).click();
    await (await page.waitForSelector("form.confirm [type=submit]", { visible: true })).click();
    await page.waitForSelector(form);
    await page.browser().close();
  },
});
