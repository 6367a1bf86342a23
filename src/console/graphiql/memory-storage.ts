/**
 * In place of localStorage, where GraphiQL keeps its tabs and the history of what was run: variables hold passwords and
 * headers hold tokens, and neither may reach the user's disk. What is typed is gone with the page.
 */
export function memoryStorage() {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
    clear: () => items.clear(),
    get length() {
      return items.size;
    },
  };
}
