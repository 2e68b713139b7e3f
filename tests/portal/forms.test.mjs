// Every form, filled in and sent: what it makes is what the API then says, and what the API refuses stands at its field.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { randomUUID } from "node:crypto";
import { launch } from "./lib/browser.mjs";
import { call, connection, demo, media } from "./lib/headwater.mjs";
import { openPortal } from "./lib/portal.mjs";

describe("forms of the portal", () => {
  let browser;
  let to;
  const run = randomUUID().slice(0, 6);

  before(
    async () => {
      to = connection();
      browser = await launch();
      await demo(to);
    },
    { timeout: 5 * 60_000 },
  );
  after(() => browser?.close());

  /** Opens `place` and the form behind `button`. */
  async function opened(place, button, options = {}) {
    const found = await openPortal(browser, to, place, options);
    await found.page.getByRole("button", { name: button, exact: true }).first().click();
    const form = found.page.getByRole("dialog");
    await form.locator("form").waitFor();
    return { ...found, form };
  }

  /** What the API says of something in the project. */
  async function read(path) {
    const { status, body } = await call(to, "GET", media(to, path));
    assert.equal(status, 200, `GET ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** The complaint stands below this field, which has the focus. */
  async function complained(form, label, words) {
    const field = form.getByLabel(label, { exact: true });
    await form.page().waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
    assert.equal(await field.getAttribute("aria-invalid"), "true", `${label} is marked`);
    const described = await field.evaluate((element) =>
      (element.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .map((id) => document.getElementById(id)?.textContent)
        .join(" "),
    );
    assert.match(described, words);
  }

  test("a project is made, switched to, renamed, and a name that is taken or refused stays to be corrected", async () => {
    const name = `portal-${run}`;
    const { context, page, form } = await opened("/projects", "New project");
    await form.getByLabel("Name", { exact: true }).fill("No Such Name");
    await form.getByRole("button", { name: "Make project" }).click();
    await complained(form, "Name", /lower-case letters/);
    await form.getByLabel("Name", { exact: true }).fill(to.project);
    await form.getByRole("button", { name: "Make project" }).click();
    await complained(form, "Name", /There is a project/);
    await form.getByLabel("Name", { exact: true }).fill(name);
    await form.getByLabel("Shown as").fill("Films of the tests");
    await form.getByRole("button", { name: "Make project" }).click();
    await page.getByRole("heading", { level: 1, name }).waitFor();
    const project = async () => (await call(to, "GET", `/api/v1/projects/${name}`)).body;
    assert.equal((await project()).spec.displayName, "Films of the tests");
    // The one that was shown is as it was: nothing is switched before somebody asks for it.
    assert.equal(await page.getByLabel("Project", { exact: true }).inputValue(), to.project);
    await page.getByRole("button", { name: "Switch to Films of the tests" }).click();
    await page.getByText("a new project has none").waitFor();
    assert.equal(await page.getByLabel("Project", { exact: true }).inputValue(), name);
    await page.getByRole("button", { name: "Rename" }).click();
    await form.getByLabel("Shown as").fill("Renamed");
    await form.getByRole("button", { name: "Save" }).click();
    await page.locator(".facts").getByText("Renamed").waitFor();
    assert.equal((await project()).spec.displayName, "Renamed");
    await page.getByLabel("Project", { exact: true }).locator("option", { hasText: "Renamed" }).waitFor({ state: "attached" });
    await page.goto(`${to.portalUrl}/#/projects`);
    const row = page.getByRole("table", { name: "Projects" }).getByRole("row", { name: /Renamed/ });
    await row.getByText("shown now").waitFor();
    await context.close();
  });
});
