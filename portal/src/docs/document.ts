/** The part of an OpenAPI 3.1 document that the page shows, and how references in it are followed. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  readOnly?: boolean;
}

interface Content {
  schema?: Schema;
  examples?: Record<string, { value: unknown }>;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: Schema;
}

export interface Response {
  description: string;
  content?: Record<string, Content>;
}

type Referred<T> = T | { $ref: string };

export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters?: Referred<Parameter>[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, Referred<Response>>;
  "x-headwater-permission"?: string;
  "x-headwater-roles"?: string[];
}

type PathItem = { parameters?: Referred<Parameter>[] } & Record<string, Operation | Referred<Parameter>[]>;

export interface OpenApi {
  info: { title: string; version: string; description: string };
  tags: { name: string; description: string }[];
  paths: Record<string, PathItem>;
  components: { schemas: Record<string, Schema> } & Record<string, unknown>;
}

/** One operation with where it is. */
export interface Row {
  method: string;
  path: string;
  operation: Operation;
  parameters: Parameter[];
}

/** What a reference stands for. */
export function resolve<T>(document: OpenApi, value: Referred<T>): T {
  if (typeof value !== "object" || value === null || !("$ref" in value)) return value as T;
  let found: unknown = document;
  for (const part of value.$ref.slice(2).split("/")) found = (found as Record<string, unknown>)[part];
  return found as T;
}

/** The operations of a tag, by path. */
export function rows(document: OpenApi, tag: string): Row[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter((entry): entry is [string, Operation] => !Array.isArray(entry[1]))
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({
        method,
        path,
        operation,
        parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(document, one)),
      })),
  );
}

/** The name of the component that a reference points to. */
export function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

/** The bounds of a value in words: `1 to 64 characters, uuid`. */
export function bounds(schema: Schema): string {
  const said: string[] = [];
  const range = (least: number | undefined, most: number | undefined, unit: string) => {
    // The largest number there is bounds nothing.
    const top = most !== undefined && most < Number.MAX_SAFE_INTEGER ? most : undefined;
    if (top !== undefined) said.push(`${least ?? 0} to ${top}${unit}`);
    else if (least !== undefined && least > 0) said.push(`at least ${least}${unit}`);
  };
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  range(schema.minimum, schema.maximum, "");
  if (schema.format !== undefined && schema.format !== "int64") said.push(schema.format);
  if (schema.pattern !== undefined) said.push(`matches ${schema.pattern}`);
  if (schema.enum !== undefined) said.push(`one of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`);
  if (schema.const !== undefined) said.push(`always ${JSON.stringify(schema.const)}`);
  if (schema.default !== undefined) said.push(`${JSON.stringify(schema.default)} by default`);
  return said.join("; ");
}
