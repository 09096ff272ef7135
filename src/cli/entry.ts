/** Where the process starts: the bundle's first file. */
import { main } from "./main.ts";

main(process.argv.slice(2)).then((status) => process.exit(status));
