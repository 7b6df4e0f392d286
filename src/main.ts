import { runProgram } from "./commands/frame.ts";
import { makeProgram } from "./commands/program.ts";

/** What `npm start` and the image run. */
const args = ["serve", ...process.argv.slice(2)];
await runProgram(makeProgram, args, process.env);
