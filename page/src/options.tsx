// The choices of a select.

/** Options by their values, or by values and texts. */
export function Options({ of }: { of: readonly (string | readonly [string, string])[] }) {
  return (
    <>
      {of.map((one) => {
        const [value, text] = typeof one === "string" ? [one, one] : one;
        return (
          <option key={value} value={value}>
            {text}
          </option>
        );
      })}
    </>
  );
}
