/**
 * An HTTP client of the app with a fake ensemble behind it, as terse as the tests want it.
 *
 * @module
 */

import { expect } from "vitest";
import { buildApp } from "../../src/worker/app.ts";
import type { FakeEnsemble } from "./fake-ensemble.ts";

export interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, with the assurance that it is an object. */
  json(): Record<string, unknown>;
}

export type Send = (line: string, init?: RequestInit) => Promise<Sent>;

/** `send("PUT /v1/main/znodes/a", { body: "x" })`: one app, so one isolate's memory, per client. */
export function clientOf(ensemble: FakeEnsemble, vars?: Readonly<Record<string, unknown>>): Send {
  const app = buildApp();
  const env = ensemble.env(vars);
  return async (line, init = {}) => {
    const [method = "", path = ""] = line.split(" ");
    const url = path.startsWith("http") ? path : `http://127.0.0.1:8787${path}`;
    const response = await app.request(new Request(url, { ...init, method }), undefined, env);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: () => objectIn(text) };
  };
}

function objectIn(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  expect(value).toBeTypeOf("object");
  return value as Record<string, unknown>;
}

export interface ExpectedProblem extends Readonly<Record<string, unknown>> {
  /** Of the answer and in the body. */
  readonly status: number;
}

/** Checks that an answer is a problem as RFC 9457 and the house want it, and answers its detail. */
export function problemIn(sent: Sent, expected: ExpectedProblem): string {
  const problem = sent.json();
  expect(sent.status).toBe(expected.status);
  expect(problem).toMatchObject(expected);
  expect(sent.headers.get("Content-Type")).toBe("application/problem+json");
  const { type, title, detail } = problem;
  expect(type).toMatch(/^\/problems\/[a-z-]+$/);
  expect(title).toBeTypeOf("string");
  expect(detail).toMatch(/^[A-Z]/);
  return String(detail);
}
