/**
 * Finds each value once, for keys of which few come again and again. What was found is forgotten when more than `most`
 * are remembered, so a key from outside cannot fill the memory.
 */
export function remember<Key, Value extends string | number | null>(
  most: number,
  find: (key: Key) => Value,
): (key: Key) => Value {
  const found = new Map<Key, Value>();
  return (key) => {
    const known = found.get(key);
    if (known !== undefined) return known;
    if (found.size === most) found.clear();
    const value = find(key);
    found.set(key, value);
    return value;
  };
}
