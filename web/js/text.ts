import { invalid } from './error.js';

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

const isWellFormed = (text: string): boolean =>
  (text as { isWellFormed?: () => boolean }).isWellFormed?.() ?? !LONE.test(text);

/** The text, which must be one: a lone surrogate would silently become another character on its way. */
export function wellFormed(text: unknown, what: string): string {
  if (typeof text !== 'string') throw invalid(`${what}: a string is expected, not ${typeof text}`);
  if (!isWellFormed(text)) throw invalid(`${what}: a lone surrogate is no character`);
  return text;
}
