/** The command line, floor 5: one table of commands, one file each, all I/O through a Streams object. */
export { main } from "./main.ts";
export { bufferStreams, type Streams } from "./streams.ts";
