/**
 * The OpenAPI document: operations and schemas put together.
 *
 * Source: OpenAPI 3.1.1.
 *
 * @module
 */

import { version } from "../../src/worker/version.ts";
import { type Operation, operations } from "./operations.ts";
import { ref, type Schema, schemas } from "./schemas.ts";

const headers: Readonly<Record<string, Schema>> = {
  "If-Match": { type: "string", description: "A version in double quotes, or * for any" },
  "If-None-Match": { type: "string", description: "* to create; for reads, versions that need not be sent" },
  "Ek-Session": { type: "string", description: "The session that asks: its id, a colon, its password" },
  "Ek-Session-Zxid": { ...ref("Zxid"), description: "What the client has seen: it is never shown less" },
  "Idempotency-Key": {
    ...{ type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
    description: "Sent again, the request is done once and answered alike",
  },
  "Last-Event-ID": { ...ref("Zxid"), description: "Where the stream is to go on" },
  Accept: { type: "string", description: "application/json for the value with its stat" },
};

const pathParameters: Readonly<Record<string, string>> = {
  ensemble: "A name that EK_ENSEMBLES declares",
  path: "The znode's path without its first slash; slashes are literal, all else may be percent-encoded",
  id: "Of the session, or of the member",
  command: "Its name",
  word: "Its four letters",
};

/** What `openapi.json` is to say. */
export function buildDocument(): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const item = paths[operation.route] ?? {};
    item[operation.method] = operationObject(operation);
    paths[operation.route] = item;
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "edgekeeper",
      version,
      summary: "A ZooKeeper for the edge",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    paths,
    components: { schemas, securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
  };
}

function operationObject(operation: Operation): Schema {
  const { id, summary, body, answers, problems, open = false } = operation;
  return {
    operationId: id,
    summary,
    ...(open && { security: [] }),
    parameters: parametersOf(operation),
    ...(body !== undefined && {
      requestBody: { required: body.required ?? false, content: { [body.type]: { schema: body.schema } } },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, content]) => [status, answer(content)])),
      ...Object.fromEntries(problems.toSorted((a, b) => a - b).map((status) => [status, problem])),
    },
  };
}

function parametersOf({ route, query = {}, headers: names = [] }: Operation): readonly Schema[] {
  const inPath = Array.from(route.matchAll(/\{(\w+)\}/g), ([, name = ""]) => ({
    ...{ name, in: "path", required: true, description: pathParameters[name] ?? "" },
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({ name, in: "query", schema }));
  const inHeaders = names.map((name) => ({ name, in: "header", schema: headers[name] ?? {} }));
  return [...inPath, ...inQuery, ...inHeaders];
}

function answer(content: Readonly<Record<string, Schema>>): Schema {
  const types = Object.entries(content).map(([type, schema]) => [type, { schema }]);
  return { description: "Done", ...(types.length > 0 && { content: Object.fromEntries(types) }) };
}

const problem: Schema = {
  description: "A problem",
  content: { "application/problem+json": { schema: ref("Problem") } },
};
