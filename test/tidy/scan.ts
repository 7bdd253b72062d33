/**
 * Tells code, comments and strings of a TypeScript source apart, without a parser.
 *
 * `code` is the source with the inside of every comment, string and regular expression replaced by
 * blanks; lines and columns stay where they were. What it does not know: JSX, and a regular expression
 * directly after a closing parenthesis (`if (x) /y/.test(z)`), which it takes for a division.
 *
 * @module
 */

/** A string, a part of a template, or a comment: where its text begins and what it says. */
export interface Span {
  /** Of the opening quote or the comment's first slash; for a template's later parts, of the brace. */
  readonly offset: number;
  readonly line: number;
  readonly text: string;
}

export interface Scanned {
  readonly code: string;
  readonly strings: readonly Span[];
  readonly comments: readonly Span[];
}

/** After these, a slash begins a regular expression; after anything else it divides. */
const regexAfter =
  /(?:^|[([{},;:=!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|yield|await|void|delete|throw))$/;

export function scan(source: string): Scanned {
  const strings: Span[] = [];
  const comments: Span[] = [];
  const kept: string[] = [];
  /** Depth of braces at which each open template's current substitution ends. */
  const substitutions: number[] = [];
  let braces = 0;
  let line = 1;
  let at = 0;
  /** The last few characters of code, blanks left out: what a slash is judged by. */
  let before = "";

  function keep(length: number): void {
    const text = source.slice(at, at + length);
    kept.push(text);
    line += text.split("\n").length - 1;
    before = (before + text.replace(/\s+/g, /\w$/.test(before) && /^\s/.test(text) ? " " : "")).slice(-12);
    at += length;
  }

  function blank(length: number): void {
    const text = source.slice(at, at + length);
    kept.push(text.replace(/[^\n]/g, " "));
    line += text.split("\n").length - 1;
    at += length;
  }

  /** From inside a template: takes its text up to the closing quote or the next substitution. */
  function template(offset: number): void {
    let end = at;
    while (end < source.length && source[end] !== "`" && !source.startsWith("${", end)) {
      end += source[end] === "\\" ? 2 : 1;
    }
    strings.push({ offset, line, text: source.slice(at, end) });
    blank(end - at);
    if (source[at] === "`") keep(1);
    else if (at < source.length) {
      keep(2);
      substitutions.push(braces);
      braces += 1;
    }
  }

  while (at < source.length) {
    const char = source[at] ?? "";
    if (source.startsWith("//", at) || source.startsWith("/*", at)) {
      const close =
        char + (source[at + 1] ?? "") === "//" ? source.indexOf("\n", at) : source.indexOf("*/", at + 2) + 2;
      const end = close < at + 2 ? source.length : close;
      comments.push({ offset: at, line, text: source.slice(at, end) });
      blank(end - at);
    } else if (char === '"' || char === "'") {
      let end = at + 1;
      while (end < source.length && source[end] !== char && source[end] !== "\n") {
        end += source[end] === "\\" ? 2 : 1;
      }
      strings.push({ offset: at, line, text: source.slice(at + 1, end) });
      keep(1);
      blank(end - at);
      keep(1);
    } else if (char === "`") {
      const offset = at;
      keep(1);
      template(offset);
    } else if (char === "/" && regexAfter.test(before.trimEnd())) {
      keep(1);
      blank(regexLength(source, at));
      keep(1);
    } else {
      if (char === "{") braces += 1;
      if (char === "}") braces -= 1;
      const offset = at;
      keep(1);
      if (char === "}" && substitutions.at(-1) === braces) {
        substitutions.pop();
        template(offset);
      }
    }
  }
  return { code: kept.join(""), strings, comments };
}

/** Characters of a regular expression's body, from behind its first slash to before its last. */
function regexLength(source: string, start: number): number {
  let end = start;
  let inClass = false;
  while (end < source.length && source[end] !== "\n" && (inClass || source[end] !== "/")) {
    if (source[end] === "[") inClass = true;
    if (source[end] === "]") inClass = false;
    end += source[end] === "\\" ? 2 : 1;
  }
  return end - start;
}

/** 1-based. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
