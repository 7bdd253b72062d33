// Without miniflare: `node alone.mjs` uses a fake, and is told what a real ensemble needs.

import { fakeEnsemble, startEnsemble } from "edgekeeper/testing";

const zk = fakeEnsemble().connect();
await zk.create("/alone", "1");
const refused = await startEnsemble().catch((error) => error.message);
console.log(JSON.stringify([(await zk.get("/alone")).text, refused]));
