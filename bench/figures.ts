/** Measured figures by name, for people and for programs: null where they can't be told, absent where they were not measured. */

/** What each figure means, and what it should be. */
export type Meanings<Name extends string> = Readonly<Record<Name, readonly [meaning: string, aim: string]>>;
export type Figures<Name extends string> = Readonly<Partial<Record<Name, number | null>>>;

/** The figures in the order in which they are told, rounded to what they are good for. */
export function rounded<Name extends string>(
  meanings: Meanings<Name>,
  figures: Figures<Name>,
): Figures<Name> {
  const entries = known(meanings, figures).map((name) => [name, roundedTo(figures[name] ?? null)]);
  return Object.fromEntries(entries) as Figures<Name>;
}

/** A line for each figure. */
export function tableOf<Name extends string>(meanings: Meanings<Name>, figures: Figures<Name>): string {
  const line = (name: Name): string => {
    const [meaning, aim] = meanings[name];
    return meaning.padEnd(54) + String(figures[name] ?? '-').padStart(10) + aim.padStart(14);
  };
  const lines = known(meanings, figures).map(line);
  return ['', ''.padEnd(54) + 'seen'.padStart(10) + 'aim'.padStart(14), ...lines, ''].join('\n');
}

function known<Name extends string>(meanings: Meanings<Name>, figures: Figures<Name>): Name[] {
  return (Object.keys(meanings) as Name[]).filter((name) => figures[name] !== undefined);
}

function roundedTo(value: number | null): number | null {
  if (value === null) return null;
  return Number(value.toFixed(Math.abs(value) < 10 ? 3 : Math.abs(value) < 100 ? 1 : 0));
}
