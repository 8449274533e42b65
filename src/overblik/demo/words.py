"""What clinicians write in the story: terse, as they do."""

from __future__ import annotations

PLAN_FOR_PATIENT = (
    "De må støtte på benet til smertegrænsen. Undgå at krydse benene og at sidde lavt de første 6 uger.\n"
    "Ring til afdelingen ved feber, rødme eller væske fra såret, også om aftenen."
)
PLAN_SUMMARY = (
    "{age}-årig, tidl. rask fraset hypertension og osteoporose. Fald i eget hjem. "
    "Coll. fem. fraktur hø., hemialloplastik. Ukompliceret forløb."
)
PLAN_HABITUAL = "Selvhjulpen i hjemmet. Gik ude m. stok. Bor alene i stuen."
PLAN_ABILITY = "Pt. mobil m. rollator 20 m. Må støtte til smertegrænsen. Hjælp til nedre påklædning og bad."
PLAN_WOUND = "Agrafter i cikatricen. Tør forbinding. Agrafter fjernes hos e.l. 12. dag."
PLAN_SAFETY = "Faldrisiko. Hofterestriktioner i 6 uger."
PLAN_GOAL = "Selvstændig gang inde uden hjælpemiddel og ude m. stok inden 8 uger. Godt potentiale."
DISCHARGE = (
    "Kære kollega. Pt. udskrevet i dag efter hemialloplastik hø. hofte. Dalteparin i alt 28 dage. "
    "NSAID bedes seponeret (nyrefunktion, blødning). Hgb 5,9 postop., kontrol om 1 uge. "
    "Agrafter fjernes 12. dag. Alendronat fortsættes."
)
NURSE_ASKS = "Såret væsker let i dag, tør forbinding lagt. Vil I se på det?"
GP_ANSWERS = "Set i morges, rent. Ring, hvis rødme eller feber."
REPORT = (
    "Statusrapport: Går inde uden hjælpemiddel, ude m. stok 300 m. Rejse-sætte-sig 8. Træner 2 x ugl. "
    "Forventer afslutning om 2 uger. Pt. er tryg ved trapper. Ingen smerter i hvile."
)
SESSION_HOME = "Hjemme hos borgeren. Hav rollatoren klar."
SESSION_CENTRE = "Træningscentret. Kørsel er bestilt."
CONTROL = "Mød i røntgen 30 min. før."
