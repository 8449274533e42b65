"""Small CDA documents to damage, one line a part."""

from __future__ import annotations

APD = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<templateId root="1.2.208.184.14.1"/>
<id root="1.2.208.184" extension="5b1f0d8a-0000-4000-8000-0000000000a1"/>
<code code="39289-4" codeSystem="2.16.840.1.113883.6.1" displayName="Aftale"/>
<title>Aftale for 0403441234</title>
<effectiveTime value="20261101100000+0100"/>
<recordTarget><patientRole>
<id root="1.2.208.176.1.2" extension="{cpr}"/>
<patient><name><given>Prøve</given><family>Person</family></name>
<birthTime value="19440304"/></patient>
</patientRole></recordTarget>
<author><time value="20261101100000+0100"/><assignedAuthor><id root="1.2.208.176.1.1" extension="99900000055001"/>
<representedOrganization><name>Ortopædkirurgisk Ambulatorium</name></representedOrganization></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization>
<id root="1.2.208.176.1.1" extension="99900000055001"/><name>Ortopædkirurgisk Ambulatorium</name>
</representedCustodianOrganization></assignedCustodian></custodian>
<component><structuredBody><component><section><title>Aftale</title><text>Kontrol</text><entry>
<encounter moodCode="APT" classCode="ENC"><id root="1.2.208.184" extension="5b1f0d8a-0000-4000-8000-0000000000a2"/>
<statusCode code="active"/>
<effectiveTime><low value="20261201100000+0100"/><high value="20261201103000+0100"/></effectiveTime>
<performer><assignedEntity><id root="1.2.208.176.1.1" extension="99900000055001"/>
<representedOrganization><name>Ortopædkirurgisk Ambulatorium</name></representedOrganization>
</assignedEntity></performer>
</encounter></entry></section></component></structuredBody></component>
</ClinicalDocument>"""


def apd(cpr: str, **changes: str) -> bytes:
    """Return an appointment document; `changes` replace the named parts of its text, each of which must be there."""
    text = APD.format(cpr=cpr)
    for old, new in changes.items():
        part = PARTS[old]
        assert part in text, old
        text = text.replace(part, new)
    return text.encode()


PARTS = {
    "written": '<effectiveTime value="20261101100000+0100"/>',
    "starts": '<low value="20261201100000+0100"/>',
    "patient_id": '<id root="1.2.208.176.1.2" extension="0403441234"/>',
    "born": '<birthTime value="19440304"/>',
    "author": '<id root="1.2.208.176.1.1" extension="99900000055001"/>',
    "organisation": "<name>Ortopædkirurgisk Ambulatorium</name>",
    "encounter": 'moodCode="APT"',
    "root": '<ClinicalDocument xmlns="urn:hl7-org:v3"',
    "declaration": '<?xml version="1.0" encoding="UTF-8"?>',
    "title": "<title>Aftale for 0403441234</title>",
}
