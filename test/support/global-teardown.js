import { stopServers } from "./global-setup.js";

/** @returns {Promise<void>} */
export default async function () {
  await stopServers();
}
