#!/usr/bin/env node
import { runProgram } from "./commands/frame.ts";
import { makeProgram } from "./commands/program.ts";

await runProgram(makeProgram, process.argv.slice(2), process.env);
