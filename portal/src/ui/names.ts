/** Finding the field that the API complains about. */

/**
 * Whether the API's name of a field (`properties.url`, `spec/url`, `url`) is `name`.
 *
 * `name`: as much of the path's end as tells it from others (`layers[0].bitrate`); with `.*` at its end, whatever is below
 * (`accessControl.*`).
 */
export function names(field: string | null, name: string | undefined): boolean {
  if (field === null || name === undefined) return false;
  const said = steps(field);
  const wanted = steps(name);
  if (wanted.at(-1) !== "*") return wanted.every((step, at) => said[said.length - wanted.length + at] === step);
  wanted.pop();
  return said.some((_, from) => wanted.every((step, at) => said[from + at] === step));
}

function steps(path: string): string[] {
  return path.split(/[./[\]]/).filter(Boolean);
}
