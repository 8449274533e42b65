// fhirclient (SMART on FHIR), fhir-kit-client and @medplum/core, unchanged, doing a day's work.
// Prints one line of JSON: what each of them found. tests/clients/test_javascript.py judges it.
import { Client } from 'fhir-kit-client';
import smart from 'fhirclient';

globalThis.WebSocket ??= class extends EventTarget {}; // @medplum/core names it when it is loaded; node 20 has none
const { MedplumClient } = await import('@medplum/core');

const { BASE: base, TOKEN: token } = process.env;
const CPR = 'urn:oid:1.2.208.176.1.2';
const NPU = 'http://npu-terminology.org';
const person = (cpr) => ({
  resourceType: 'Patient',
  identifier: [{ system: CPR, value: cpr }],
  name: [{ family: 'Bæk', given: ['Åse'] }],
});
const result = (patient, day) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: NPU, code: 'NPU02319' }] },
  subject: { reference: patient },
  effectiveDateTime: `2026-05-${String(day).padStart(2, '0')}T08:00:00+02:00`,
  valueQuantity: { value: 7.5, unit: 'mmol/L' },
});
const transaction = (cpr, results) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    { fullUrl: 'urn:uuid:p', resource: person(cpr), request: { method: 'POST', url: 'Patient' } },
    ...Array.from({ length: results }, (_, n) => ({
      fullUrl: `urn:uuid:${n}`,
      resource: result('urn:uuid:p', n + 1),
      request: { method: 'POST', url: 'Observation' },
    })),
  ],
});
const placeOf = (answer) => answer.entry[0].response.location.split('/fhir/')[1].split('/_history')[0];
// What a call that must fail fails with: [status, our stable code], from wherever a client keeps it.
async function failure(call) {
  try {
    await call();
  } catch (error) {
    const outcome = error.response?.data ?? error.outcome ?? error.body ?? {};
    const status = error.response?.status ?? error.status ?? error.statusCode ?? null;
    return [status, outcome.issue?.[0]?.details?.coding?.[0]?.code ?? null];
  }
  return 'it did not fail';
}

async function fhirKitClient() {
  const client = new Client({ baseUrl: base, bearerToken: token });
  const found = {};
  found.version = (await client.capabilityStatement()).fhirVersion;
  const made = await client.create({ resourceType: 'Patient', body: person('1102661231') });
  const at = { resourceType: 'Patient', id: made.id };
  found.read = (await client.read(at)).name[0].family;
  const options = { headers: { 'If-Match': 'W/"1"' } };
  const changed = { ...made, gender: 'female' };
  found.updated = (await client.update({ ...at, body: changed, options })).meta.versionId;
  found.stale = await failure(() => client.update({ ...at, body: changed, options }));
  const jsonPatch = [{ op: 'add', path: '/birthDate', value: '1966-02-11' }];
  found.patched = (await client.patch({ ...at, jsonPatch })).birthDate;
  found.first = (await client.vread({ ...at, version: '1' })).gender ?? null;
  found.history = (await client.history(at)).entry.map((e) => e.resource.meta.versionId);
  const place = placeOf(await client.transaction({ body: transaction('1202661232', 12) }));
  const walked = [];
  const searchParams = { subject: place, _count: 5, _sort: 'date' };
  let page = await client.search({ resourceType: 'Observation', searchParams });
  while (page) {
    walked.push(page.entry.map((e) => Number(e.resource.effectiveDateTime.slice(8, 10))));
    page = await client.nextPage({ bundle: page });
  }
  found.pages = walked;
  const byCpr = { identifier: `${CPR}|1202661232` };
  found.posted = (await client.search({ resourceType: 'Patient', searchParams: byCpr, options: { postSearch: true } })).entry.length;
  found.resolved = (await client.resolve({ reference: place })).id === place.split('/')[1];
  const [, id] = place.split('/');
  const all = await client.operation({ name: '$everything', resourceType: 'Patient', id, method: 'GET' });
  found.everything = all.entry.length;
  const batch = { resourceType: 'Bundle', type: 'batch', entry: [
    { request: { method: 'GET', url: place } },
    { request: { method: 'GET', url: 'Patient/nobody' } },
  ] };
  found.batch = (await client.batch({ body: batch })).entry.map((e) => e.response.status.slice(0, 3));
  await client.delete(at);
  found.deleted = await failure(() => client.read(at));
  found.nobody = await failure(() => client.read({ resourceType: 'Patient', id: 'nobody' }));
  found.wrong = await failure(() => client.create({ resourceType: 'Patient', body: { ...person('1302661233'), colour: 'red' } }));
  const stranger = new Client({ baseUrl: base, bearerToken: process.env.STRANGER });
  found.stranger = await failure(() => stranger.read({ resourceType: 'Patient', id }));
  const unknown = new Client({ baseUrl: base, bearerToken: 'no token' });
  found.unknown = await failure(() => unknown.read({ resourceType: 'Patient', id }));
  return found;
}

async function fhirClient() {
  const client = smart({}, {}).client({ serverUrl: base, tokenResponse: { access_token: token } });
  const found = {};
  found.version = await client.getFhirVersion();
  const made = await client.create(person('1402661234'));
  found.read = (await client.request(`Patient/${made.id}`)).name[0].family;
  found.updated = (await client.update({ ...made, gender: 'male' }, { headers: { 'If-Match': 'W/"1"' } })).meta.versionId;
  found.stale = (await failure(() => client.update({ ...made, gender: 'other' }, { headers: { 'If-Match': 'W/"1"' } })))[0];
  found.patched = (await client.patch(`Patient/${made.id}`, [{ op: 'replace', path: '/gender', value: 'female' }])).gender;
  const answer = await client.request({
    url: '', method: 'POST', body: JSON.stringify(transaction('1502661235', 12)),
    headers: { 'Content-Type': 'application/json' },
  });
  const place = placeOf(answer);
  const search = `Observation?subject=${place}&_count=5&_sort=date`;
  const flat = await client.request(search, { pageLimit: 0, flat: true });
  found.walked = flat.map((o) => Number(o.effectiveDateTime.slice(8, 10)));
  const resolved = await client.request(`${search}&_count=1`.replace('_count=5&', ''), { resolveReferences: 'subject', graph: true });
  found.subject = resolved.entry[0].resource.subject.name?.[0].family ?? null;
  found.history = (await client.request(`Patient/${made.id}/_history`)).entry.length;
  await client.delete(`Patient/${made.id}`);
  found.deleted = (await failure(() => client.request(`Patient/${made.id}`)))[0];
  found.nobody = (await failure(() => client.request('Patient/nobody')))[0];
  found.wrong = (await failure(() => client.create({ ...person('1602661236'), colour: 'red' })))[0];
  return found;
}

async function medplum() {
  const client = new MedplumClient({ baseUrl: `${new URL(base).origin}/`, fhirUrlPath: 'fhir/', accessToken: token, fetch, cacheTime: 0 });
  const found = {};
  const made = await client.createResource(person('1702661237'));
  found.read = (await client.readResource('Patient', made.id)).name[0].family;
  found.updated = (await client.updateResource({ ...made, gender: 'female' })).meta.versionId;
  found.patched = (await client.patchResource('Patient', made.id, [{ op: 'add', path: '/birthDate', value: '1966-02-17' }])).birthDate;
  found.history = (await client.readHistory('Patient', made.id)).entry.length;
  found.first = (await client.readVersion('Patient', made.id, '1')).gender ?? null;
  const place = placeOf(await client.executeBatch(transaction('1802661238', 12)));
  const walked = [];
  for await (const page of client.searchResourcePages('Observation', { subject: place, _count: '5', _sort: 'date' })) {
    walked.push(page.map((o) => Number(o.effectiveDateTime.slice(8, 10))));
  }
  found.pages = walked;
  found.one = (await client.searchOne('Patient', { identifier: `${CPR}|1802661238` })).id === place.split('/')[1];
  const once = { ...person('1902661239') };
  const [first, second] = [
    await client.createResourceIfNoneExist(once, `identifier=${CPR}|1902661239`),
    await client.createResourceIfNoneExist(once, `identifier=${CPR}|1902661239`),
  ];
  found.once = first.id === second.id;
  found.reference = (await client.readReference({ reference: place })).id === place.split('/')[1];
  await client.deleteResource('Patient', made.id);
  found.deleted = await failure(() => client.readResource('Patient', made.id, { cache: 'reload' }));
  found.nobody = await failure(() => client.readResource('Patient', '00000000000000000000000000000000'));
  found.wrong = await failure(() => client.createResource({ ...person('2002661230'), colour: 'red' }));
  return found;
}

const told = {};
for (const [name, work] of Object.entries({ fhirKitClient, fhirClient, medplum })) {
  try {
    told[name] = await work();
  } catch (error) {
    told[name] = { failed: String(error?.stack ?? error) + JSON.stringify(error?.response?.data ?? error?.outcome ?? '') };
  }
}
console.log(JSON.stringify(told));
process.exit(0);
