// Which operations of `@azure/arm-mediaservices` the tests of this run have called, and what there is to call.

import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Names the folder in which each process of a run leaves what it has called; `run.mjs` makes it. */
export const FOLDER = "HEADWATER_CALLED";

const answered = new Set();
const refused = new Set();

/** The client's operation groups by name. */
function groups(client) {
  return Object.entries(client).filter(([, group]) => /Impl$/.test(group?.constructor?.name ?? ""));
}

/** What a group offers; what TypeScript calls private is underlined or a part of a list's pages. */
function methods(group) {
  const all = Object.getOwnPropertyNames(Object.getPrototypeOf(group));
  return all.filter((name) => name !== "constructor" && !name.startsWith("_") && !/Paging(Page|All)$/.test(name));
}

/** `group.method` of all that the client offers. */
export function allOperations(client) {
  return groups(client).flatMap(([name, group]) => methods(group).map((method) => `${name}.${method}`));
}

/** The same client, whose calls are noted. A list counts when it was made. */
export function noted(client) {
  if (!process.env[FOLDER]) return client;
  for (const [name, group] of groups(client)) {
    for (const method of methods(group)) {
      const operation = `${name}.${method}`;
      const call = group[method].bind(group);
      group[method] = (...given) => {
        const result = call(...given);
        if (typeof result?.then !== "function") {
          answered.add(operation);
          return result;
        }
        return result.then(
          (answer) => {
            answered.add(operation);
            return answer;
          },
          (error) => {
            refused.add(operation);
            throw error;
          },
        );
      };
    }
  }
  return client;
}

if (process.env[FOLDER]) {
  process.on("exit", () => {
    const file = join(process.env[FOLDER], `${randomUUID()}.json`);
    writeFileSync(file, JSON.stringify({ answered: [...answered], refused: [...refused] }));
  });
}

/** What all processes of the run have left. */
export function gathered() {
  const folder = process.env[FOLDER];
  const left = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
  const union = (member) => new Set(left.flatMap((one) => one[member]));
  return { answered: union("answered"), refused: union("refused") };
}
