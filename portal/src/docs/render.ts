/** Makes the page of a document: a contents list, the operations by tag, and the schemas they name. */

import { el } from "../dom";
import { bounds, nameOf, resolve, rows, type OpenApi, type Parameter, type Row, type Schema } from "./document";

export function page(document: OpenApi): HTMLElement {
  const { info, tags, components } = document;
  const id = (tag: string) => `tag-${tag.replaceAll(" ", "-")}`;
  return el(
    "article",
    { class: "docs" },
    el("h1", { tabindex: -1 }, `${info.title} API ${info.version}`),
    ...prose(info.description),
    el(
      "nav",
      { "aria-label": "Contents" },
      el("ul", {}, ...tags.map(({ name }) => el("li", {}, el("a", { href: `#${id(name)}` }, name)))),
    ),
    ...tags.map((tag) =>
      el(
        "section",
        { "aria-labelledby": id(tag.name) },
        el("h2", { id: id(tag.name) }, tag.name),
        ...prose(tag.description),
        ...rows(document, tag.name).map((row) => operation(document, row)),
      ),
    ),
    el(
      "section",
      { "aria-labelledby": "schemas" },
      el("h2", { id: "schemas" }, "Schemas"),
      ...Object.entries(components.schemas).map(([name, schema]) =>
        el(
          "details",
          { id: `schema-${name}` },
          el("summary", {}, el("code", {}, name)),
          ...prose(schema.description),
          members(schema),
        ),
      ),
    ),
  );
}

function operation(document: OpenApi, { method, path, operation, parameters }: Row): HTMLElement {
  const roles = operation["x-headwater-roles"];
  const asked =
    roles === undefined
      ? "Anybody may ask."
      : `Needs ${operation["x-headwater-permission"]}, which these roles have: ${roles.join(", ")}.`;
  const parts: Node[] = [...prose(operation.description), ...prose(asked)];
  if (parameters.length > 0) parts.push(el("h4", {}, "Parameters"), parameterTable(parameters));
  for (const [type, { schema, examples }] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(el("h4", {}, "Request body"), el("p", {}, `${type}: `, ...kind(schema ?? {})));
    for (const { value } of Object.values(examples ?? {})) {
      parts.push(el("pre", { tabindex: 0 }, JSON.stringify(value, null, 2)));
    }
  }
  parts.push(el("h4", {}, "Answers"));
  const answers = Object.entries(operation.responses).map(([status, response]) => {
    const { description, content } = resolve(document, response);
    const schemas = Object.values(content ?? {}).flatMap(({ schema }) => (schema === undefined ? [] : [schema]));
    return el("li", {}, el("code", {}, status), ` ${description} `, ...schemas.flatMap(kind));
  });
  parts.push(el("ul", { class: "answers" }, ...answers));
  return el(
    "details",
    { id: operation.operationId },
    el(
      "summary",
      {},
      el("code", { class: `method ${method}` }, method.toUpperCase()),
      " ",
      el("code", { class: "path" }, path),
      " ",
      el("span", { class: "meta" }, operation.summary),
    ),
    ...parts,
  );
}

function parameterTable(parameters: Parameter[]): HTMLElement {
  return table(
    parameters.map(({ name, in: where, required, description, schema }) => ({
      name,
      note: required === true ? `${where}, required` : where,
      schema,
      about: description,
    })),
  );
}

function members(schema: Schema): HTMLElement {
  const named = Object.entries(schema.properties ?? {});
  if (named.length === 0) return el("p", {}, ...kind(schema));
  return table(
    named.map(([name, member]) => ({
      name,
      note: schema.required?.includes(name) === true ? "required" : member.readOnly === true ? "read only" : "",
      schema: member,
      about: member.description,
    })),
  );
}

function table(lines: { name: string; note: string; schema: Schema; about: string | undefined }[]): HTMLElement {
  const line = ({ name, note, schema, about }: (typeof lines)[number]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("code", {}, name), " ", el("span", { class: "meta" }, note)),
      el("td", {}, ...kind(schema), ...prose(about), ...prose(bounds(schema))),
    );
  return el("div", { class: "scroll", tabindex: 0 }, el("table", {}, el("tbody", {}, ...lines.map(line))));
}

/** What sort of value a schema takes; names of other schemas are links. */
function kind(schema: Schema): (Node | string)[] {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref);
    return [el("a", { href: `#schema-${name}` }, name)];
  }
  const either = schema.oneOf ?? schema.anyOf;
  if (either !== undefined) {
    return either.flatMap((one, index) => (index === 0 ? kind(one) : [" or ", ...kind(one)]));
  }
  if (schema.items !== undefined) return ["list of ", ...kind(schema.items)];
  if (typeof schema.additionalProperties === "object") return ["map of ", ...kind(schema.additionalProperties)];
  return [Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "any value")];
}

/** Paragraphs, with what stands between backticks as code. */
function prose(text: string | undefined): HTMLElement[] {
  if (text === undefined || text === "") return [];
  return text.split("\n\n").map((paragraph) => {
    const parts = paragraph.split("`").map((part, index) => (index % 2 === 1 ? el("code", {}, part) : part));
    return el("p", {}, ...parts);
  });
}
