/** Orders: kill switches that deny an agent's calls whatever its policy says, as a gateway tells them to an SDK. */

import { Rejected } from "./errors.js";

/** What an SDK is told of an order in force; an `agentId` of null is every agent of the project. */
export interface Order {
  readonly orderId: string;
  readonly reason: string;
  readonly agentId: string | null;
}

/** Return the first order that concerns an agent, by any of its names: the one it gives, and the masked one that pages show. */
export function concerning(orders: readonly Order[], agentNames: readonly string[]): Order | null {
  return orders.find(({ agentId }) => agentId === null || agentNames.includes(agentId)) ?? null;
}

/** Return the orders of the header CZ-Orders (base64 of a JSON list), none where there is no header. Throws `Rejected` for anything else. */
export function parseOrders(header: string | null): Order[] {
  if (header === null) return [];
  try {
    const listed: unknown = JSON.parse(Buffer.from(header, "base64").toString());
    if (!Array.isArray(listed)) throw new TypeError("expected a list");
    return listed.map(order);
  } catch (error) {
    throw new Rejected(`orders: not what the header CZ-Orders holds, base64 of a JSON list: ${(error as Error).message}`);
  }
}

function order(value: unknown): Order {
  const { order_id: orderId, reason, agent_id: agentId = null } = (value ?? {}) as Record<string, unknown>;
  if (typeof orderId !== "string" || typeof reason !== "string" || (agentId !== null && typeof agentId !== "string")) {
    throw new TypeError("expected an object with `order_id`, `reason` and `agent_id`");
  }
  return { orderId, reason, agentId };
}
