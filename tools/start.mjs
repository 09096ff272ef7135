// `npm start`: set up, then the demo. Arguments go to it: `npm start -- --kernel`.
import { join } from "node:path";
import { root, run, setup } from "./setup.mjs";

setup();
process.exit(run(join(root, "bin", "subflow"), ["demo", ...process.argv.slice(2)], { show: true }));
