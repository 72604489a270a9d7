"""Invented names and places. No list here is copied from a register, and towns do not exist."""

# fmt: off
FIRST_NAMES: dict[str, tuple[str, ...]] = {
    "Female": (
        "Adelina", "Brisa", "Calla", "Dorina", "Elowyn", "Fenna", "Ginevra", "Halla", "Ilse", "Jorina", "Kestra", "Liora", "Maelle",
        "Nerys", "Odalys", "Perla", "Quilla", "Rosalba", "Selene", "Tamsin", "Ursina", "Vesna", "Wenda", "Ysolde", "Zelie", "Amaris",
        "Branwen", "Corisande", "Delphia", "Eudora",
    ),
    "Male": (
        "Alaric", "Bertil", "Corin", "Dagan", "Edric", "Falko", "Garrick", "Hadrian", "Ivo", "Jorik", "Kelan", "Leofric", "Matteus",
        "Nevin", "Osric", "Piran", "Quade", "Rurik", "Soren", "Tavish", "Ulric", "Valen", "Wystan", "Yorick", "Zoltan", "Ambrose",
        "Benedek", "Caspian", "Dorian", "Emeric",
    ),
}
LAST_NAMES: tuple[str, ...] = (
    "Abernoth", "Ashgrove", "Bellamoor", "Birchall-Wren", "Brackwater", "Calloway-Finch", "Carrowmore", "Coldbrook", "Crannock", "Dalesford",
    "Darrowby", "Dunmere", "Eastlake", "Elderwick", "Fairbourne", "Fallowell", "Farrowdale", "Fenwyck", "Gableton", "Garthwaite",
    "Greystoke", "Hallowmere", "Harrowgate", "Hawksley", "Hearthstone", "Ivorsen", "Jessamyn", "Kettlewell", "Kingsmere", "Larkhaven",
    "Lindqvale", "Lockridge", "Marchbanks", "Meadowcroft", "Millwater", "Mossgrave", "Netherby", "Northolt", "Oakenfell", "O'Marrow",
    "Pemberlane", "Pinecastle", "Quarrington", "Ravensworth", "Redfern-Hale", "Rosethorne", "Sallowfield", "Sedgebrook", "Silverdale",
    "Stannick", "Stonebrake", "Tarrowick", "Thistledown", "Thornebury", "Umberleigh", "Vanterpool", "Wetherlam", "Whitlocke", "Winterbourne",
    "Wolverdale", "Yarrowby", "Yewdale", "Zandercourt", "Zellweger-Ott",
)
STREETS: tuple[str, ...] = (
    "Alder Bend", "Barley Mow Road", "Chandler Row", "Dovecote Lane", "Ember Street", "Foxglove Way", "Gristmill Road", "Hollow Oak Drive",
    "Inkberry Court", "Juniper Rise", "Kiln Street", "Lantern Hill", "Millrace Avenue", "Nettle Path", "Orchard Loop", "Pewter Place",
    "Quarry Turn", "Rushlight Lane", "Sorrel Street", "Tollgate Avenue",
)
UNITS: tuple[str, ...] = ("", "", "", " Apt. {n}", " Suite {n}", " Unit {n}")
TOWNS: tuple[str, ...] = (
    "Alderfen", "Brindlemark", "Copperhollow", "Dunwater", "Eastmarrow", "Farrowton", "Glenhallow", "Harrowmouth", "Ivyport", "Kettleford",
    "Larkspur Falls", "Mossbridge", "New Tarrow", "North Ember", "Oxcastle", "Pinemarch", "South Quill", "Thornwick", "Umber Lake", "West Yarrow",
)
STATES: dict[str, tuple[tuple[str, str], ...]] = {
    "hos-a": (("NY", "1"), ("NJ", "0"), ("CT", "0"), ("PA", "1")),
    "hos-b": (("IL", "6"), ("WI", "5"), ("IN", "4"), ("MO", "6")),
}
AREA_CODES: dict[str, tuple[str, ...]] = {"hos-a": ("212", "347", "518", "973"), "hos-b": ("312", "414", "773", "314")}
DEPARTMENTS: tuple[str, ...] = (
    "Emergency", "Cardiology", "Neurology", "Oncology", "Paediatrics", "Orthopaedics", "Dermatology", "Radiology", "Urology", "Nephrology",
    "Pulmonology", "Endocrinology", "Rheumatology", "Haematology", "Psychiatry", "General Surgery", "Family Medicine", "Obstetrics",
    "Ophthalmology", "Physical Therapy",
)
# fmt: on
