import { runProgram } from "./commands/frame.ts";
import { makeServeProgram } from "./commands/serve.ts";

await runProgram(makeServeProgram, process.argv.slice(2), process.env);
