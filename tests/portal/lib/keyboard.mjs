// The portal by keyboard alone.

import assert from "node:assert/strict";

/** What has the focus, in words: for what goes wrong. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    return `${element?.tagName.toLowerCase()} ${element?.getAttribute("aria-label") ?? element?.textContent?.slice(0, 40) ?? ""}`;
  });
}

/** Whether one sees where the focus is. */
function visible(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const around = element.matches(".players input") ? element.closest("label") : element;
    const { outlineStyle, outlineWidth } = getComputedStyle(around);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
  });
}

/** Presses Tab until `locator` has the focus, and sees that it shows. */
export async function tabTo(page, locator, most = 60) {
  const passed = [];
  for (let tabs = 0; tabs < most; tabs++) {
    await page.keyboard.press("Tab");
    if (await locator.evaluate((element) => element === document.activeElement).catch(() => false)) {
      assert.ok(await visible(page), `the focus on ${await focused(page)} is not to be seen`);
      return;
    }
    passed.push(await focused(page));
  }
  assert.fail(`Tab leads past it: ${passed.join(" | ")}`);
}

/** From a new page's heading on: where the portal puts the focus after a change of page. */
export async function atHeading(page, name) {
  await page.getByRole("heading", { level: 1, name }).waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "H1");
}
