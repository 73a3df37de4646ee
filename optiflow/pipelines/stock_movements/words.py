"""The words that systems have for types of movements, for directions and for cancelled bookings.

What belongs here: words of the trade in English, German, French, Spanish, Italian, Portuguese and Polish, and SAP's
movement types. What does not: which rows get which type (`types`).

A word is compared without case, accents, blanks and punctuation. A phrase of several words counts as the first of its words
that is listed, if it is not listed itself: `Sales Order Shipment` is a sale.
"""

import re

from optiflow.roles import plain_word

BY_DIRECTION = "by direction"
"""Words that do not say whether stock comes or goes: a return may be a customer's or one to a supplier."""

SHORTEST_END = 6

_WORDS = {
    "in": """
        in inbound incoming input receipt received receiving receive purchase purchased replenishment restock putaway
            goodsreceipt purchasereceipt purchaseorder grn production produced manufacture entry increase plus
        eingang wareneingang zugang einkauf bestellung einlagerung produktion fertigmeldung lieferanteneingang
        entree reception achat approvisionnement reapprovisionnement fabrication
        entrada recepcion compra compras aprovisionamiento reposicion produccion fabricacion
        entrata ricezione ricevimento acquisto acquisti carico rifornimento produzione
        recebimento recepcao aquisicao producao reposicao
        przyjecie przychod zakup dostawa produkcja pz pw
    """,
    "out": """
        out outbound outgoing output issue issued sale sales sold ship shipped shipment shipping dispatch despatch delivery
            deliverynote goodsissue goodsdelivery consumption consume usage pick picking picked invoice salesorder decrease
            minus
        ausgang warenausgang abgang verkauf versand lieferung lieferschein auslagerung verbrauch entnahme kommissionierung
        sortie vente ventes expedition livraison consommation prelevement
        salida venta ventas despacho envio entrega consumo
        uscita vendita vendite spedizione consegna scarico prelievo
        saida venda vendas expedicao
        wydanie rozchod sprzedaz wysylka zuzycie wz rw
    """,
    "adjust": """
        adjust adjustment adj correction stockadjustment inventoryadjustment reconciliation stockreconciliation count counting
            cyclecount stocktake stocktaking physicalinventory inventory difference discrepancy writeoff writeup writedown
            scrap scrapped scrapping loss lost damage damaged breakage broken spoilage waste wastage expired expiry shrinkage
            theft found opening openingbalance openingstock revaluation
        korrektur anpassung umbewertung inventur inventurdifferenz bestandskorrektur zaehlung differenz verschrottung schrott
            verlust bruch schwund verderb diebstahl anfangsbestand ausbuchung
        ajustement correction regularisation inventaire ecart perte casse demarque rebut peremption perime vol stockinitial
        ajuste correccion inventario recuento diferencia merma perdida rotura dano caducado caducidad desecho regularizacion
            robo saldoinicial
        rettifica correzione inventario differenza perdita rottura scarto ammanco furto giacenzainiziale
        acerto correcao contagem diferenca perda quebra avaria descarte vencido furto saldoinicial
        korekta inwentaryzacja spis roznica strata ubytek uszkodzenie likwidacja zlom przecena bo
    """,
    "transfer": """
        transfer transferred stocktransfer transferorder internal intern move moved movement relocation relocate interwarehouse
            intercompany replenishmenttransfer materialtransfer
        umlagerung umbuchung transport verlagerung
        transfert mouvement deplacement mutation
        transferencia traslado traspaso movimiento
        trasferimento spostamento movimentazione giroconto
        transferencia remanejamento movimentacao
        przesuniecie przeniesienie mm
    """,
    BY_DIRECTION: """
        return returned returns refund rma reversal reversed reverse cancellation stockentry
        retoure rueckgabe ruecksendung ruecknahme storno
        retour avoir annulation
        devolucion devoluciones reembolso anulacion
        reso resi restituzione storno
        devolucao estorno
        zwrot zwroty
    """,
}

_DIRECTIONS = {
    "in": "in inbound incoming i e plus + eingang zugang entree entrada entrata entrar ingreso przychod przyjecie",
    "out": "out outbound outgoing o s minus - ausgang abgang sortie salida uscita saida egreso rozchod wydanie",
}

DEBIT_CREDIT = {"s": "in", "h": "out"}
"""SAP's debit (Soll) and credit (Haben) of the stock account; without an H, an S is a salida, a sortie or a saída."""

_CANCELLED = """
    cancelled canceled cancel void voided annulled deleted reversed rejected abandoned
    storniert storno abgebrochen geloescht annulliert
    annule annulee supprime abandonne
    cancelado cancelada anulado anulada eliminado
    annullato annullata stornato eliminato
    anulada estornado
    anulowane anulowany anulowana anulowano uniewaznione
"""

_YES = "1 true yes y x ja oui si sim tak wahr vrai verdadero vero verdadeiro"


def _read(text: str) -> set[str]:
    return {plain_word(word) or word for word in text.split()}


TYPE_WORDS = {word: kind for kind, words in _WORDS.items() for word in _read(words)}
DIRECTION_WORDS = {word: kind for kind, words in _DIRECTIONS.items() for word in _read(words)}
CANCELLED_WORDS = frozenset(_read(_CANCELLED))
YES_WORDS = frozenset(_read(_YES))

SAP_RECEIPTS = (101, 103, 105, 107, 109, 121, 123, 131, 202, 222, 232, 242, 252, 262, 272, 282, 292, 451, 453, 457, 501)
SAP_RECEIPTS += (503, 505, 511, 521, 523, 525, 531, 571, 581, 602, 651, 653, 655, 657, 673, 675)
SAP_ISSUES = (102, 104, 106, 108, 110, 122, 124, 125, 132, 161, 201, 221, 231, 241, 251, 261, 271, 281, 291, 333, 335)
SAP_ISSUES += (
    331,
    452,
    454,
    502,
    504,
    506,
    512,
    522,
    524,
    526,
    532,
    543,
    545,
    572,
    582,
    601,
    621,
    623,
    633,
    652,
    654,
    656,
)
SAP_ADJUSTMENTS = (551, 552, 553, 554, 555, 556, 561, 562, 563, 564, 565, 566)
SAP_BLOCKS = {3: "transfer", 4: "transfer", 6: "transfer", 7: "adjust"}
"""Hundreds of SAP's movement types whose other numbers move stock within the company, or correct it after a count."""


def sap_type(word: str) -> str | None:
    """What a standard movement type of SAP means, such as 101 (goods receipt); None for any other word.

    Types that begin with 9, Y or Z are a company's own. Source: SAP Help, Materials Management, "Movement Types" (table
    T156): an even number reverses the odd one before it; 3xx and 4xx move stock between plants, places and stock types, 7xx
    are differences of a count.
    """
    if not re.fullmatch(r"[1-7]\d\d", word):
        return None
    number = int(word)
    for kind, numbers in (("in", SAP_RECEIPTS), ("out", SAP_ISSUES), ("adjust", SAP_ADJUSTMENTS)):
        if number in numbers:
            return kind
    return SAP_BLOCKS.get(number // 100)


def type_of_word(word: str) -> str | None:
    """`in`, `out`, `adjust`, `transfer`, `BY_DIRECTION`, or None for a word that is not known."""
    whole = plain_word(word)
    if (known := TYPE_WORDS.get(whole) or sap_type(whole)) is not None:
        return known
    parts = [plain_word(part) for part in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", word)]
    found = [TYPE_WORDS[part] for part in parts if part in TYPE_WORDS] or _ends_with(whole)
    # A loss, a count or a move is one in whatever direction: `Inventur Zugang` is no receipt.
    for kind in ("adjust", "transfer", BY_DIRECTION):
        if kind in found:
            return kind
    return found[0] if found else None


def _ends_with(word: str) -> list[str]:
    """What a compound such as `Kundenretoure` ends with; short words end many others by chance."""
    ends = [known for known in TYPE_WORDS if len(known) >= SHORTEST_END and word.endswith(known)]
    return [TYPE_WORDS[max(ends, key=len)]] if ends else []
