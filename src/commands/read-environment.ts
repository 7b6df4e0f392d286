import { existsSync, readFileSync } from "node:fs";

type Environment = Readonly<Record<string, string | undefined>>;

/** The environment, and in development `.env` behind it: a variable that is set wins. */
export function readEnvironment(environment: Environment): Environment {
  const isDevelopment = environment["NODE_ENV"] !== "production";
  if (isDevelopment && existsSync(".env")) process.loadEnvFile(".env");
  return environment;
}

export function readTextFile(path: string): string {
  return readFileSync(path, "utf8");
}
