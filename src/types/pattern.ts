/** Does the whole text fit a shell pattern: `*`, `?`, `[01]`? */
export function matchesPattern(pattern: string, text: string): boolean {
  // Most are names: no pattern is made of them.
  if (!/[*?[]/.test(pattern)) return pattern === text;
  const source = pattern
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^(?:${source})$`).test(text);
}
