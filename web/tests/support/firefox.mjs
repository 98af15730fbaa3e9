// Firefox as the system has it, by WebDriver BiDi, which it speaks itself. Playwright drives only a Firefox of its own.
import puppeteer from 'puppeteer-core';

/** The browser to test in: `KV_TEST_FIREFOX` names its program; undefined: there is none. */
export const program = process.env.KV_TEST_FIREFOX;

/** As `launch` of `browser.mjs`, for tests that need no more than pages. */
export async function launch() {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: program, headless: true });
  return { context: browser, close: () => browser.close() };
}
