"""What exports of stock movements call their columns: ERPs, warehouse systems and shops, in seven languages.

What belongs here: names beside those that a role goes by in any case, in the order in which they count where a file has
several: a document's number before a reference, the plant before the storage place. What does not: how a header is
compared (`optiflow.roles`; case, accents, blanks and punctuation do not count). SAP's are those of transaction MB51.
"""

IDS = (
    *("movement_id", "movement_no", "move_id", "transaction_number", "material_document", "mat_doc", "materialbeleg"),
    *("document_no", "document_number", "voucher", "voucher_no", "entry_no", "posting_no", "booking_id", "doc_no"),
    *("belegnummer", "belegnr", "beleg", "buchungsnummer", "vorgang"),
    *("numero_piece", "n_piece", "numero_document", "piece", "id_mouvement", "mouvement"),
    *("numero_documento", "documento", "id_movimiento", "id_movimento", "movimiento", "movimento"),
    *("nr_dokumentu", "numer_dokumentu", "dokument"),
    *("reference", "ref", "referenz", "referencia", "riferimento", "id"),
)
LINES = (
    *("line", "line_no", "line_number", "line_id", "position", "pos", "document_line", "document_item", "item_line"),
    *(
        "material_doc_item",
        "mat_doc_item",
        "posnr",
        "belegposition",
        "zeile",
        "ligne",
        "linea",
        "riga",
        "linha",
        "pozycja",
    ),
)
ITEMS = (
    *("sku_id", "item_code", "item_no", "item_number", "product", "product_code", "product_sku", "material"),
    *(
        "material_number",
        "part_number",
        "part_no",
        "article_id",
        "article_no",
        "barcode",
        "ean",
        "gtin",
        "asin",
        "fnsku",
    ),
    *("artikelnummer", "artikelnr", "artikel", "materialnummer", "teilenummer", "produkt"),
    *("code_article", "code_produit", "id_produit", "produit"),
    *("codigo_articulo", "codigo_producto", "id_producto", "producto", "articulo"),
    *("codice_articolo", "id_prodotto", "prodotto", "articolo"),
    *("codigo_produto", "id_produto", "produto", "artigo"),
    *("kod_towaru", "indeks", "towar", "kod_produktu"),
    *("item_name", "product_name", "bezeichnung", "designation"),
)
WAREHOUSES = (
    *("warehouse_code", "warehouse_name", "plant", "facility", "facility_id", "fulfillment_center", "depot", "branch"),
    *("store_id", "shop", "shop_id", "location_id", "location_name", "storage_location", "bin"),
    *("lager", "werk", "lagerort", "lagernummer", "filiale"),
    *("entrepot", "magasin", "depot_id", "emplacement"),
    *("almacen", "bodega", "deposito", "ubicacion"),
    *("magazzino", "negozio", "ubicazione"),
    *("armazem", "loja", "localizacao"),
    *("magazyn", "sklep"),
)
TYPES = (
    *("movement", "movement_code", "transaction_kind", "voucher_type", "document_type", "entry_type", "operation"),
    *("operation_type", "reason_code", "event_type", "event", "move_type", "picking_type", "adjustment_type"),
    *("bewegungsart", "bewegungstyp", "vorgangsart", "belegart", "buchungsart", "typ", "art"),
    *("type_mouvement", "type_de_mouvement", "nature"),
    *("tipo_movimiento", "tipo_de_movimiento", "tipo_movimento", "tipo_de_movimento", "causale", "tipo"),
    *("rodzaj_ruchu", "typ_ruchu", "typ_dokumentu", "rodzaj"),
)
DIRECTIONS = (
    *(
        "direction",
        "in_out",
        "inout",
        "debit_credit",
        "richtung",
        "sens",
        "sentido",
        "direccion",
        "direzione",
        "direcao",
    ),
    *("kierunek", "entrada_salida", "entrata_uscita", "soll_haben"),
)
QUANTITIES = (
    *("qty_in_unit_of_entry", "qty_in_un_of_entry", "quantity_in_unit_of_entry", "actual_qty", "qty_change"),
    *("quantity_change", "change", "delta", "moved_qty", "moved_quantity", "quantity_done", "qty_done", "pieces"),
    *("menge_in_erfassme", "menge", "stueckzahl", "stueck", "anzahl"),
    *("quantite", "qte", "nombre"),
    *("cantidad", "cant", "unidades"),
    *("quantita", "qta"),
    *("quantidade", "qtd", "qtde"),
    *("ilosc",),
)
QUANTITIES_IN = (
    *("in_qty", "qty_in", "quantity_in", "received", "received_qty", "receipts", "inward", "inward_qty", "inbound_qty"),
    *("zugang", "zugaenge", "eingang", "menge_zugang"),
    *("entree", "entrees", "qte_entree", "quantite_entree"),
    *("entrada", "entradas", "cantidad_entrada"),
    *("carico", "entrata", "entrate", "quantita_carico"),
    *("quantidade_entrada", "przychod", "ilosc_przychod"),
)
QUANTITIES_OUT = (
    *("out_qty", "qty_out", "quantity_out", "issued", "issued_qty", "issues", "outward", "outward_qty", "outbound_qty"),
    *("abgang", "abgaenge", "ausgang", "menge_abgang"),
    *("sortie", "sorties", "qte_sortie", "quantite_sortie"),
    *("salida", "salidas", "cantidad_salida"),
    *("scarico", "uscita", "uscite", "quantita_scarico"),
    *("saida", "saidas", "quantidade_saida", "rozchod", "ilosc_rozchod"),
)
PRICES = (
    *("valuation_rate", "rate", "cost", "cost_price", "price_unit", "unit_value", "standard_cost", "average_cost"),
    *("unit_cost_price", "moving_average_price", "incoming_rate"),
    *("preis", "stueckpreis", "einzelpreis", "einstandspreis", "bewertungspreis"),
    *("prix", "prix_unitaire", "cout_unitaire", "pu"),
    *("precio", "precio_unitario", "costo_unitario", "coste_unitario", "costo"),
    *("prezzo", "prezzo_unitario"),
    *("preco", "preco_unitario", "custo_unitario", "custo"),
    *("cena", "cena_jednostkowa", "koszt"),
)
TOTALS = (
    *("value_change", "stock_value_difference", "total_value", "total_cost", "total_price", "line_total", "net_amount"),
    *("extended_cost", "amount_in_lc", "amt_in_loc_cur", "amount_in_local_currency"),
    *("betrag_in_hauswaehrung", "betrag", "gesamtbetrag", "gesamtwert", "wert", "gesamtpreis"),
    *("montant", "valeur", "prix_total", "total_ht"),
    *("importe", "valor", "valor_total", "monto"),
    *("importo", "valore", "totale"),
    *("kwota", "wartosc", "suma"),
)
CATEGORIES = (
    *("material_group", "product_category", "product_group", "product_type", "department", "family", "class", "group"),
    *("warengruppe", "artikelgruppe", "kategorie", "sortiment"),
    *("categorie", "famille", "rayon"),
    *("categoria", "familia", "grupo", "rubro"),
    *("reparto", "famiglia", "gruppo"),
    *("kategoria", "grupa", "grupa_towarowa"),
)
DATES = (
    *(
        "movement_date",
        "posting_date",
        "transaction_date",
        "posted_at",
        "date_done",
        "moved_at",
        "event_date",
        "datetime",
    ),
    *("date_time", "document_date", "entry_date", "date_posted", "effective_date", "created_on", "create_date"),
    *("buchungsdatum", "belegdatum", "erfassungsdatum", "datum"),
    *("date_mouvement", "date_de_mouvement", "date_comptable", "date_heure", "jour"),
    *("fecha", "fecha_movimiento", "fecha_de_movimiento", "fecha_contable"),
    *("data", "data_movimento", "data_registrazione", "data_lancamento"),
    *("data_ruchu", "data_wystawienia", "data_dokumentu"),
)
TIMES = (
    *("time", "posting_time", "time_of_entry", "entry_time", "movement_time", "transaction_time", "hour"),
    *("uhrzeit", "erfassungszeit", "zeit", "heure", "hora", "ora", "godzina"),
)
STATUSES = (
    *("status", "state", "movement_status", "transaction_status", "docstatus"),
    *("zustand", "statut", "etat", "estado", "stato", "situacao"),
)
CANCELLATIONS = (
    *("is_cancelled", "cancelled", "is_canceled", "canceled", "voided", "is_void", "storniert", "storno", "annule"),
    *("anulado", "annullato", "cancelado", "anulowany"),
)
