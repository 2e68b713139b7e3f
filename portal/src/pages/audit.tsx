/** The audit log: who changed what, when, from where. */

import type { Schemas } from "../api/client";
import { ask, may } from "../app/session";
import { moment } from "../format";
import { asPage, List, quoted } from "../ui/list";
import { useLoad } from "../ui/load";
import { Heading } from "../ui/parts";
import { Empty } from "../ui/states";

export function AuditPage() {
  const users = useLoad(
    async () => (may("User", "read") ? (await ask((to) => to.GET("/api/v1/organization/users"))).items : []),
    [],
  );
  const nameOf = (id: string) => users.value?.find(({ metadata }) => metadata.id === id)?.spec.name ?? id;
  return (
    <>
      <Heading title="Audit log" />
      <List<Schemas["AuditLogEntry"]>
        label="Audit log"
        load={async (query) =>
          asPage(await ask((to) => to.GET("/api/v1/organization/auditLog", { params: { query: { $orderby: "time desc", ...query } } })))
        }
        search={(words) => `contains(operation,${quoted(words)}) or contains(resource,${quoted(words)})`}
        filters={{
          label: "Which entries",
          options: [
            ["", "All"],
            ["status ge 400", "Refused or failed"],
            ["status lt 400", "Done"],
          ],
        }}
        id={({ requestId, time }) => `${requestId}${time}`}
        columns={[
          { head: "When", cell: ({ time }) => moment(time) },
          { head: "Who", cell: ({ who }) => nameOf(who) },
          { head: "What", cell: ({ operation }) => operation },
          { head: "On", long: true, cell: ({ resource, path }) => resource ?? path },
          { head: "Answer", cell: ({ status, errorCode }) => (status === null ? "" : errorCode === null ? status : <span class="wrong">{status} {errorCode}</span>) },
          { head: "From", cell: ({ from }) => from ?? "" },
        ]}
        empty={<Empty title="Nothing has been changed yet" />}
      />
    </>
  );
}
