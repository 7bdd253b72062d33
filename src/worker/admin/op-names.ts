/**
 * Op codes in four letters, as `cons` shows the last one of a connection.
 *
 * Source: ZooKeeper `Request.op2String`, `ServerCnxn.updateStatsForResponse`.
 *
 * @module
 */

import { OpCode } from "../../base/index.ts";

const names: ReadonlyMap<number, string> = new Map([
  [OpCode.CreateSession, "SESS"],
  [OpCode.CloseSession, "CLOS"],
  [OpCode.Ping, "PING"],
  [OpCode.Create, "CREA"],
  [OpCode.Create2, "CREA"],
  [OpCode.CreateContainer, "CREA"],
  [OpCode.CreateTtl, "CREA"],
  [OpCode.Delete, "DELE"],
  [OpCode.SetData, "SETD"],
  [OpCode.Reconfig, "RECO"],
  [OpCode.SetAcl, "SETA"],
  [OpCode.Sync, "SYNC"],
  [OpCode.Check, "CHEC"],
  [OpCode.Exists, "EXIS"],
  [OpCode.GetData, "GETD"],
  [OpCode.SetWatches, "SETW"],
  [OpCode.SetWatches2, "STW2"],
  [OpCode.AddWatch, "ADDW"],
  [OpCode.GetAcl, "GETA"],
  [OpCode.GetChildren, "GETC"],
  [OpCode.GetChildren2, "GETC"],
  [OpCode.GetAllChildrenNumber, "GETACN"],
  [OpCode.CheckWatches, "CHKW"],
  [OpCode.RemoveWatches, "REMW"],
  [OpCode.WhoAmI, "HOMI"],
  [OpCode.GetEphemerals, "GETE"],
  [OpCode.Multi, "MULT"],
  [OpCode.MultiRead, "MLTR"],
]);

/** `NA` before the first request, and for those that Java does not count. */
export function opName(type: number | undefined): string {
  return (type === undefined ? undefined : names.get(type)) ?? "NA";
}
