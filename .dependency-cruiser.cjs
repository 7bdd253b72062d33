// Which room may import which: `../docs/architecture.md` has the picture. Outside a room, import its door.
const rooms = {
  base: [],
  zab: ["base"],
  tree: ["base"],
  jute: ["base"],
  objects: ["base", "zab", "tree", "jute"],
  worker: ["base", "objects"],
  gateway: ["base", "jute"],
  local: ["base", "gateway"],
};

const list = (names) => names.join("|");

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    {
      name: "nothing-imports-test",
      severity: "error",
      comment: "move what src needs into src",
      from: { path: "^src/" },
      to: { path: "^test/" },
    },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `${room}-may-import`,
      severity: "error",
      comment: `src/${room} may import ${allowed.length === 0 ? "no other room" : allowed.join(", ")}`,
      from: { path: `^src/${room}/` },
      to: { path: "^src/", pathNot: `^src/(${list([room, ...allowed])})/` },
    })),
    {
      name: "use-the-door",
      severity: "error",
      comment: "outside a room, import its index.ts",
      from: { path: "^src/([^/]+)/" },
      to: { path: "^src/([^/]+)/", pathNot: ["^src/$1/", "/index\\.ts$"] },
    },
    {
      name: "no-own-door",
      severity: "error",
      comment: "inside a room, import the file",
      from: { path: "^src/([^/]+)/" },
      to: { path: "^src/$1/index\\.ts$" },
    },
    {
      name: "pure-rooms-know-no-platform",
      severity: "error",
      comment: "base, zab, tree and jute take time, randomness and I/O as arguments",
      from: { path: "^src/(base|zab|tree|jute)/" },
      to: { dependencyTypes: ["core", "npm", "npm-dev", "unknown"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js"] },
  },
};
